"""What the library's codes mean for a source: not served, lost, down, or a passing failure.

Apart, because the binding's own exceptions cannot be hashed or compared with a number.
"""

FUNCTION_NOT_FOUND = 13
UNKNOWN_VALUE_TYPE = -1  # ours: the library gave a value of a type that the binding cannot read

UNSUPPORTED = frozenset({3, FUNCTION_NOT_FOUND, 25, 26})  # this part or driver will never say
LOST = frozenset({15, 16, 28})  # this device is gone until it is reset or replaced
DOWN = frozenset({1, 9, 12, 18})  # the library or its driver is gone: nothing works until reopened

_NAMES = {
    UNKNOWN_VALUE_TYPE: "UNKNOWN_VALUE_TYPE",
    1: "UNINITIALIZED",
    2: "INVALID_ARGUMENT",
    3: "NOT_SUPPORTED",
    4: "NO_PERMISSION",
    6: "NOT_FOUND",
    9: "DRIVER_NOT_LOADED",
    10: "TIMEOUT",
    12: "LIBRARY_NOT_FOUND",
    FUNCTION_NOT_FOUND: "FUNCTION_NOT_FOUND",
    15: "GPU_IS_LOST",
    16: "RESET_REQUIRED",
    17: "OPERATING_SYSTEM",
    18: "LIB_RM_VERSION_MISMATCH",
    20: "MEMORY",
    21: "NO_DATA",
    23: "INSUFFICIENT_RESOURCES",
    25: "ARGUMENT_VERSION_MISMATCH",
    26: "DEPRECATED",
    27: "NOT_READY",
    28: "GPU_NOT_FOUND",
    29: "INVALID_STATE",
    999: "UNKNOWN",
}
_REASONS = {
    9: "the NVIDIA driver is not loaded",
    12: "there is no NVIDIA driver library (libnvidia-ml.so.1)",
    18: "the NVIDIA driver was replaced beneath its library; restart this program",
}


class NvmlFailed(Exception):  # noqa: N818 - named for what it says
    """Say that a call of the library failed; carries its ``code`` (0 never occurs)."""

    def __init__(self, code: int) -> None:
        """Keep the library's code."""
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"NVML failed: {name_of(self.code)}"


def name_of(code: int) -> str:
    """Return the vendor's name of ``code`` without its prefix, or the number as text."""
    return _NAMES.get(code, str(code))


def reason_of(code: int) -> str:
    """Return why the library cannot be used when it starts with ``code``, for a person."""
    return _REASONS.get(code, f"its library does not start ({name_of(code)})")

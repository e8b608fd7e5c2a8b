"""What the library's codes mean for a source: not served, lost, down, or a passing failure.

Apart, because the binding's own exceptions cannot be hashed or compared with a number.
"""

from enum import Enum

NOT_FOUND = 6
FUNCTION_NOT_FOUND = 13
REPLACED = 18  # the driver was upgraded beneath the library that this process holds
UNKNOWN = 999
UNKNOWN_VALUE_TYPE = -1  # ours: the library gave a value of a type that the binding cannot read


class Action(Enum):
    """What is to be done about a code."""

    NEVER_ASK = "this part or driver will never say: remember it, and ask no more"
    SAY_ONCE = "we are not allowed to ask: as not served, and a person is told once"
    FIND_AGAIN = "the device is gone until it is reset or replaced: look for it by its UUID"
    START_AGAIN = "the library was not started or was stopped: start it and find the devices"
    WAIT_FOR_DRIVER = "the driver is not loaded: start the library again later"
    WAIT_FOR_LIBRARY = "there is no library: look for it again much later"
    RESTART_PROCESS = "the library that this process holds is of another driver, for good"
    ASK_AGAIN = "a failure that may pass: no reading now"


_ACTIONS = {
    1: Action.START_AGAIN,
    3: Action.NEVER_ASK,
    4: Action.SAY_ONCE,
    9: Action.WAIT_FOR_DRIVER,
    12: Action.WAIT_FOR_LIBRARY,
    FUNCTION_NOT_FOUND: Action.NEVER_ASK,
    15: Action.FIND_AGAIN,
    16: Action.FIND_AGAIN,
    REPLACED: Action.RESTART_PROCESS,
    25: Action.NEVER_ASK,
    26: Action.NEVER_ASK,
    28: Action.FIND_AGAIN,
}
WAITS = {Action.WAIT_FOR_DRIVER: 10.0, Action.WAIT_FOR_LIBRARY: 60.0}  # seconds, each time

UNSUPPORTED = frozenset(code for code, what in _ACTIONS.items() if what is Action.NEVER_ASK)
LOST = frozenset(code for code, what in _ACTIONS.items() if what is Action.FIND_AGAIN)
DOWN = frozenset({1, 9, 12, REPLACED})  # of the library: nothing works until it is opened again

_NAMES = {
    UNKNOWN_VALUE_TYPE: "UNKNOWN_VALUE_TYPE",
    1: "UNINITIALIZED",
    2: "INVALID_ARGUMENT",
    3: "NOT_SUPPORTED",
    4: "NO_PERMISSION",
    NOT_FOUND: "NOT_FOUND",
    9: "DRIVER_NOT_LOADED",
    10: "TIMEOUT",
    12: "LIBRARY_NOT_FOUND",
    FUNCTION_NOT_FOUND: "FUNCTION_NOT_FOUND",
    15: "GPU_IS_LOST",
    16: "RESET_REQUIRED",
    17: "OPERATING_SYSTEM",
    REPLACED: "LIB_RM_VERSION_MISMATCH",
    20: "MEMORY",
    21: "NO_DATA",
    23: "INSUFFICIENT_RESOURCES",
    25: "ARGUMENT_VERSION_MISMATCH",
    26: "DEPRECATED",
    27: "NOT_READY",
    28: "GPU_NOT_FOUND",
    29: "INVALID_STATE",
    UNKNOWN: "UNKNOWN",
}
_REASONS = {
    9: "the NVIDIA driver is not loaded",
    12: "there is no NVIDIA driver library (libnvidia-ml.so.1)",
    REPLACED: "the NVIDIA driver was replaced beneath its library; restart this program",
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


def action_of(code: int) -> Action:
    """Return what is to be done about ``code``; those not known may pass."""
    return _ACTIONS.get(code, Action.ASK_AGAIN)


def name_of(code: int) -> str:
    """Return the vendor's name of ``code`` without its prefix, or the number as text."""
    return _NAMES.get(code, str(code))


def reason_of(code: int) -> str:
    """Return why the library cannot be used when it starts with ``code``, for a person."""
    return _REASONS.get(code, f"its library does not start ({name_of(code)})")

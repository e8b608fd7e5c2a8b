from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "reference" / "samples" / "slurm"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/reference is absent")


def number(value: float) -> dict[str, object]:
    return {"set": True, "infinite": False, "number": value}


UNSET = {"set": False, "infinite": False, "number": 0}

OLD_NODES = {
    "meta": {"plugin": {"type": "openapi/v0.0.38"}},
    "nodes": [
        {
            "name": "acc-07",
            "hostname": "acc-07",
            "state": "mixed",
            "state_flags": ["DRAIN", "NOT_RESPONDING"],
            "reason": "bad riser",
            "boot_time": 1790000000,
            "cpu_load": 4294967294,
            "free_memory": -2,
        },
        {"name": "acc-08", "state": "idle", "state_flags": [], "reason": "", "boot_time": 0},
    ],
}
NEW_NODES = {
    "meta": {"plugin": {"type": "", "data_parser": "data_parser/v0.0.43"}},
    "nodes": [
        {
            "name": "acc-07",
            "hostname": "acc-07",
            "state": ["MIXED", "DRAIN", "NOT_RESPONDING"],
            "reason": "bad riser",
            "boot_time": number(1790000000),
            "cpu_load": UNSET,
        },
        {"name": "acc-08", "state": ["IDLE"], "reason": "", "boot_time": UNSET},
    ],
    "warnings": [],
}
NODES_TEXT = """\
NodeName=acc-07 Arch=x86_64 CoresPerSocket=32
   Gres=gpu:h100:8(S:0-1)
   State=MIXED*+DRAIN ThreadsPerCore=1 TmpDisk=0
   BootTime=2026-09-21T14:13:20 SlurmdStartTime=2026-09-21T14:14:00
   Reason=bad riser [root@2026-11-23T14:29:44]

NodeName=acc-08 Arch=x86_64 CoresPerSocket=32
   State=IDLE ThreadsPerCore=1
"""
NODES_LINES = """\
NodeName=acc-07 CPUTot=64 State=MIXED+DRAIN+NOT_RESPONDING Weight=1 Reason=bad riser [root@2026]
NodeName=acc-08 CPUTot=64 State=IDLE Weight=1
"""

OLD_JOBS = {
    "jobs": [
        {
            "job_id": 4401,
            "name": "train-a",
            "job_state": "RUNNING",
            "nodes": "acc-[07-08]",
            "gres_detail": ["gpu:h100:4(IDX:0-2,7)", "gpu:h100:1(IDX:5)"],
        },
        {"job_id": 4402, "name": "queued", "job_state": "PENDING", "nodes": "", "gres_detail": []},
    ]
}
NEW_JOBS = {
    "jobs": [
        {
            "job_id": number(4401),
            "name": "train-a",
            "job_state": ["RUNNING"],
            "nodes": "acc-[07-08]",
            "gres_detail": ["gpu:h100:4(IDX:0-2,7)", "gpu:h100:1(IDX:5)"],
        },
        {"job_id": number(4402), "name": "queued", "job_state": ["PENDING"], "nodes": ""},
    ]
}

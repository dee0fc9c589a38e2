"""A run that SLURM started: asking for the job back."""

import os
import subprocess


def requeue() -> str:
    """Has SLURM put the job of this process back into its queue; what went wrong, or nothing.

    SLURM then ends the job with SIGTERM, which may come before this returns.
    """
    command = ["scontrol", "requeue", os.environ.get("SLURM_JOB_ID", "")]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        return f"{' '.join(command)}: {error.strerror}"
    told = done.stderr.strip() or f"status {done.returncode}"
    return f"{' '.join(command)}: {told}" if done.returncode else ""

"""A lock on an open file, between processes.

The kernel holds it (flock) and releases it when the process ends, however it ends: a lock that has to be
removed by hand after a crash would be removed by hand once too often.
"""

from __future__ import annotations

import errno

NOT_SUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


class CannotLock(Exception):
    """There are no such locks here; says whether the system or the file system has none."""


def acquire(descriptor: int, wait: bool) -> bool:
    """Lock an open file until it is closed.

    Parameters
    ----------
    descriptor : int
        Of a file that is open for writing.
    wait : bool
        Whether to wait while another process holds the lock.

    Returns
    -------
    bool
        Whether it was acquired; False only if another process holds it, and `wait` is False.

    Raises
    ------
    CannotLock
        If there is no locking here.
    OSError
        If it fails for another reason.
    """
    try:
        import fcntl
    except ImportError:
        raise CannotLock("this system cannot lock files (it has no flock)") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in NOT_SUPPORTED:
            raise CannotLock(f"this file system cannot lock files ({error.strerror})") from None
        raise
    return True

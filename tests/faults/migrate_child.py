"""Opens stores in forked children and kills them at a given moment, without anybody waiting for imports.

Its argument is the URL of a store to warm up on. Then it reads lines `seconds URL`; a negative number kills nobody. It
answers with how the child ended: 0 when the store was opened and closed, -9 when it was killed before.
"""

import os
import signal
import sys
import time

from bodega.adapters.sql import SqlStore

SqlStore.open(sys.argv[1]).close()

for line in sys.stdin:
    seconds, url = line.split()
    pid = os.fork()
    if pid == 0:
        SqlStore.open(url).close()
        os._exit(0)
    if float(seconds) >= 0:
        time.sleep(float(seconds))
        os.kill(pid, signal.SIGKILL)  # nobody has waited for it yet, so the id is still its own
    _, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)

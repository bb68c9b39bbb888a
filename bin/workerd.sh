#!/bin/sh
# Runs workerd so that Linux ends it together with the process that starts it, even after `kill -9`. GANTRY_PID is that
# process: if it is gone before the signal is set, workerd does not start. GANTRY_WORKERD is the program.
# shellcheck disable=SC2016
exec setpriv --pdeathsig KILL -- /bin/sh -c '[ "$PPID" = "$GANTRY_PID" ] && exec "$GANTRY_WORKERD" "$@"' sh "$@"

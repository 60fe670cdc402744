#!/bin/sh
# A certificate authority for DEVELOPMENT ONLY, with a VTN and VEN certificates: see README.md.
# Usage: certs/make-dev-ca.sh FOLDER [VEN-NAME ...]
set -eu
if [ "$#" -lt 1 ]; then
    echo "usage: $0 FOLDER [VEN-NAME ...]" >&2
    exit 2
fi
folder=$1
shift
[ "$#" -gt 0 ] || set -- ven
vens=
for ven in "$@"; do
    case $ven in
        *[!A-Za-z0-9_-]*) echo "$0: VEN name '$ven': allowed are letters, digits, '-' and '_'" >&2; exit 2 ;;
    esac
    vens="$vens --ven $ven"
done
# shellcheck disable=SC2086  # the names were checked, they hold no blanks
exec vpp-gateway identity dev-ca "$folder" $vens

# Sends the folder $1 as a tar stream; in the order of the names, if this tar can do that. The exit code 1 says that files
# changed meanwhile: GNU's tar tells that from what could not be read, others do not, and then it is 3.
unset TAR_OPTIONS TAR_WRITER_OPTIONS POSIXLY_CORRECT
case $1 in /*) cd -- "$1" ;; *) cd -- "./$1" ;; esac || exit 2
case $(tar --version 2>/dev/null) in
'tar (GNU tar)'*)
    if tar --sort=name --version >/dev/null 2>&1; then
        exec tar --sort=name --numeric-owner --format=pax --xattrs -cf - .
    fi
    exec tar -cf - .
    ;;
esac
tar -cf - .
code=$?
[ "$code" -eq 0 ] || [ "$code" -gt 125 ] || exit 3
exit "$code"

# Unpacks a tar stream into a folder beside what is in folder $1; $2 tells one restore from another.
cd -- "$1" || exit 2
rm -rf ".sfarc-new-$2" && mkdir -m 700 ".sfarc-new-$2" || exit
if tar --xattrs --version >/dev/null 2>&1; then
    exec tar --xattrs --numeric-owner -xpf - -C ".sfarc-new-$2"
fi
exec tar -xpf - -C ".sfarc-new-$2"

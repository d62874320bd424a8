# Puts what was unpacked in the place of what is in folder $1, which is kept in .sfarc-old-$2. A folder on which a volume
# is mounted cannot be renamed, so what is in it is, entry by entry. A mark says that all that is old has gone, so that
# another attempt does not take what is new for it.
cd -- "$1" || exit 2
new=.sfarc-new-$2 old=.sfarc-old-$2
[ -d "$new" ] || { [ -d "$old" ] && exit 0; exit 3; }
[ -d "$old" ] || mkdir -m 700 "$old" || exit
entries() { for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    case $entry in */.sfarc-*) continue ;; esac
    [ ! -e "$entry" ] && [ ! -L "$entry" ] || printf '%s\0' "$entry"
done; }
if [ ! -e "$old/.sfarc-all" ]; then
    entries . | xargs -0 -r mv -t "$old" -- || exit
    : >"$old/.sfarc-all"
fi
entries "$new" | xargs -0 -r mv -t . -- || exit
chmod --reference="$new" . 2>/dev/null
touch -r "$new" .
rmdir "$new"

# Puts what was unpacked in the place of what is in folder $1, which is kept in .sfarc-old-$2. A folder on which a volume
# is mounted cannot be renamed, so what is in it is, entry by entry. A mark says that all that is old has gone, so that
# another attempt does not take what is new for it. No entry goes through a pipe: one that ends early would look like the end.
case $1 in /*) cd -- "$1" ;; *) cd -- "./$1" ;; esac || exit 2
new=.sfarc-new-$2 old=.sfarc-old-$2
[ -d "$new" ] || { [ -d "$old" ] && exit 0; exit 3; }
[ -d "$old" ] || mkdir -m 700 "$old" || exit
# Moves the entries of folder $1 into folder $2.
move() {
    from=$1 to=$2
    set --
    for entry in "$from"/* "$from"/.[!.]* "$from"/..?*; do
        case $entry in */.sfarc-*) continue ;; esac
        [ -e "$entry" ] || [ -L "$entry" ] || continue
        set -- "$@" "$entry"
        [ $# -lt 100 ] || { mv -f -- "$@" "$to/" && set -- || return; }
    done
    [ $# -eq 0 ] || mv -f -- "$@" "$to/"
}
if [ ! -e "$old/.sfarc-all" ]; then
    move . "$old" || exit
    : >"$old/.sfarc-all" || exit
fi
move "$new" . || exit
chmod --reference="$new" . 2>/dev/null
touch -r "$new" .
rmdir "$new"

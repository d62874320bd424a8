# Unpacks a tar stream into a folder beside what is in folder $1; $2 tells one restore from another.
unset TAR_OPTIONS TAR_READER_OPTIONS POSIXLY_CORRECT xattrs
case $1 in /*) cd -- "$1" ;; *) cd -- "./$1" ;; esac || exit 2
rm -rf ".sfarc-new-$2" && mkdir -m 700 ".sfarc-new-$2" || exit
# Some take any option beside --version, so that says nothing of theirs.
case $(tar --version 2>/dev/null) in
'tar (GNU tar)'*) tar --xattrs --version >/dev/null 2>&1 && xattrs='--xattrs --numeric-owner' ;;
# It makes no name that its locale does not know.
bsdtar*) LC_ALL=C.UTF-8 && export LC_ALL && xattrs=--numeric-owner ;;
esac
tar $xattrs -xpf - -C ".sfarc-new-$2" || exit
# Not every tar reads what follows the mark at the end, and whoever sends wants to be rid of it.
exec cat >/dev/null

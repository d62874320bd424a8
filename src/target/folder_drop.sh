# Removes from folder $1 what restores have kept of before.
case $1 in /*) cd -- "$1" ;; *) cd -- "./$1" ;; esac || exit 2
rm -rf .sfarc-old-* .sfarc-new-*

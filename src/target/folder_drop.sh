# Removes from folder $1 what restores have kept of before.
cd -- "$1" || exit 2
rm -rf .sfarc-old-* .sfarc-new-*

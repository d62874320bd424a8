# Drops the databases $2... that a restore of $1 has kept.
shift
for name; do sql -e "DROP DATABASE IF EXISTS \`$name\`" || exit; done

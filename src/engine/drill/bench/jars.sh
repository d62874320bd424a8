# Where the libraries of a ZooKeeper are, as a class path.
jars() {
    program=$(readlink -f "$(command -v zkServer.sh || echo /)")
    for jars in "${program%/*/*}/lib" "${ZOOKEEPER_HOME:-/opt/zookeeper}/lib" /opt/*zookeeper*/lib /apache-zookeeper*/lib \
        /usr/share/zookeeper/lib /usr/lib/zookeeper/lib /usr/lib/zookeeper /usr/share/java; do
        for jar in "$jars"/zookeeper-[0-9]*.jar "$jars"/zookeeper.jar; do
            [ ! -e "$jar" ] || { echo "$jars/*:${jars%/lib}/*"; return; }
        done
    done
    return 1
}

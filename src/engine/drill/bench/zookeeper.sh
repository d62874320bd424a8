# Runs a ZooKeeper that speaks TLS on port $1 of this machine or pod only, once `ready` is there. Certificates: ca.crt,
# server.crt and server.key in $HOME.
umask 077
exec >>"$HOME/zookeeper.log" 2>&1
path=$(jars) || { echo 'there is no zookeeper.jar where it usually is'; exit 1; }
until [ -e "$HOME/ready" ]; do sleep 0.2; done
# It reads keys as PKCS #8 only.
{ cat "$HOME/server.crt"; openssl pkcs8 -topk8 -nocrypt -in "$HOME/server.key" || cat "$HOME/server.key"; } >"$HOME/server.pem"
cat >"$HOME/zoo.cfg" <<END
dataDir=$DATA/zookeeper
secureClientPort=$1
secureClientPortAddress=127.0.0.1
admin.enableServer=false
serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory
ssl.keyStore.location=$HOME/server.pem
ssl.keyStore.type=PEM
ssl.trustStore.location=$HOME/ca.crt
ssl.trustStore.type=PEM
ssl.clientAuth=need
END
exec java -Xmx256m -cp "$path" org.apache.zookeeper.server.quorum.QuorumPeerMain "$HOME/zoo.cfg"

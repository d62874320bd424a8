import configparser
import sys

from zuul.zk import ZooKeeperClient

config = configparser.ConfigParser()
config.read(sys.argv[1])
client = ZooKeeperClient.fromConfig(config)
client.connect()
for path in ("/keystorage", "/keystorage2"):
    if client.client.exists(path):
        client.client.delete(path, recursive=True)
client.disconnect()

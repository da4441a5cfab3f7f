"""The brokers that event logs are tried against, as services."""

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.services.places import do_without, place_of
from tests.services.process import Service, free_port

KAFKA_USER: Final = "events"
KAFKA_STRANGER: Final = "stranger"  # may sign in and then do nothing
KAFKA_PASSWORD: Final = "a-secret-of-kafka"
PATIENCE: Final = 120
SMALL: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
OPENS: Final = (
    *("java.base/java.lang", "java.base/java.nio", "java.base/sun.nio.ch", "java.base/java.util"),
    *("java.base/java.util.zip", "java.base/jdk.internal.misc"),
    *("java.management/sun.management", "jdk.management/com.sun.management.internal"),
)


@dataclass
class Broker(Service):
    """A broker that listens on a second port for TLS, signed by `authority`.

    `ready` says whether one that listens can be used.
    """

    ready: Callable[[], bool] = lambda: True
    tls_port: int = field(default_factory=free_port)
    authority: trustme.CA = field(default_factory=trustme.CA)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def tls_address(self) -> str:
        return f"localhost:{self.tls_port}"

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    def _answers(self) -> bool:
        return super()._answers() and self.ready()


def java() -> str:
    found = shutil.which("java")
    if found is None:
        do_without("the brokers need java")
    return found


def kafka(folder: Path) -> Broker:
    """One node of Kafka: plain text without a name on `port`, SASL/PLAIN over TLS on `tls_port`."""
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    run = [java(), "-Xmx256m", *SMALL, quiet, "-cp", f"{place_of('kafka')}/lib/*"]
    controller = free_port()

    def command(home: Path, port: int) -> Sequence[str | Path]:
        settings = home / "server.properties"
        if not settings.exists():
            listeners = kafka_listeners(port, controller, broker.tls_port)
            settings.write_text(listeners + kafka_security(broker) + KAFKA_SETTINGS)
            name = ["-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", str(settings)]
            subprocess.run([*run, "kafka.tools.StorageTool", "format", *name], cwd=home, check=True)
        return [*run, "kafka.Kafka", settings]

    broker = Broker(folder, command, patience=PATIENCE)
    return broker


KAFKA_SETTINGS: Final = """
process.roles=broker,controller
node.id=1
log.dirs=data
num.partitions=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""


def kafka_listeners(port: int, controller: int, tls: int) -> str:
    return f"""
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},SASL_SSL://localhost:{tls}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://localhost:{tls}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL
"""


def kafka_security(broker: Broker) -> str:
    broker.authority.cert_pem.write_to_path(broker.ca_file)
    chain = broker.folder / "server.pem"
    chain.write_bytes(pem_of(broker.authority.issue_cert("localhost", "127.0.0.1")))
    users = " ".join(f'user_{name}="{KAFKA_PASSWORD}"' for name in (KAFKA_USER, KAFKA_STRANGER))
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    return f"""
ssl.keystore.type=PEM
ssl.keystore.location={chain}
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config={module} required {users};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{KAFKA_USER}
"""


def pem_of(certificate: trustme.LeafCert) -> bytes:
    """Key and chain in one file; the key as PKCS #8, the one form that Java reads."""
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    return b"".join(
        [
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            *(blob.bytes() for blob in certificate.cert_chain_pems),
        ]
    )


def pulsar(folder: Path) -> Broker:
    """Pulsar with its bookkeeper and zookeeper in one process."""
    opens = [part for name in OPENS for part in ("--add-opens", f"{name}=ALL-UNNAMED")]
    memory = ["-Xmx512m", "-XX:MaxDirectMemorySize=512m", *SMALL]
    netty = "-Dio.netty.tryReflectionSetAccessible=true"
    run = [java(), *opens, netty, *memory, "-cp", f"{place_of('pulsar')}/lib/*"]
    web, zookeeper, bookkeeper = free_port(), free_port(), free_port()

    def command(home: Path, port: int) -> Sequence[str | Path]:
        settings = home / "standalone.conf"
        settings.write_text(pulsar_settings(port, web, zookeeper))
        program = "org.apache.pulsar.PulsarStandaloneStarter"
        own = ["--config", f"{settings}", "-nfw", "-nss", "-a", "127.0.0.1"]
        zoo = ["--zookeeper-dir", f"{home}/zk", "--zookeeper-port", f"{zookeeper}"]
        book = ["--bookkeeper-dir", f"{home}/bk", "--bookkeeper-port", f"{bookkeeper}"]
        return [*run, program, *own, *zoo, *book]

    def ready() -> bool:
        """Whether the namespace is there that clients use."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{web}/admin/v2/namespaces/public") as it:
                return "public/default" in json.load(it)
        except OSError:
            return False

    return Broker(folder, command, patience=PATIENCE, ready=ready)


def pulsar_settings(port: int, web: int, zookeeper: int) -> str:
    """What is acknowledged stays, for tests read it again."""
    return f"""
zookeeperServers=127.0.0.1:{zookeeper}
configurationStoreServers=127.0.0.1:{zookeeper}
brokerServicePort={port}
webServicePort={web}
bindAddress=127.0.0.1
advertisedAddress=127.0.0.1
clusterName=standalone
managedLedgerDefaultEnsembleSize=1
managedLedgerDefaultWriteQuorum=1
managedLedgerDefaultAckQuorum=1
metadataStoreSessionTimeoutMillis=5000
zooKeeperSessionTimeoutMillis=5000
defaultRetentionTimeInMinutes=-1
defaultRetentionSizeInMB=-1
loadBalancerEnabled=false
"""

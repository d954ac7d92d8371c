# What paho-mqtt for Python does with a broker: each check is a function, and a line of JSON when it
# is done. Run with the port, the version (311 or 5); it ends with 0 when all checks passed.

import json
import socket
import sys
import threading

import paho.mqtt.client as paho

PATIENCE_SECONDS = 50
HOST = '127.0.0.1'
PORT = int(sys.argv[1])
VERSION = {'31': paho.MQTTv31, '311': paho.MQTTv311, '5': paho.MQTTv5}[sys.argv[2]]
IS_5 = VERSION == paho.MQTTv5

if IS_5:
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties


class Client:
    """A client of paho whose events a check can wait for."""

    def __init__(self, client_id, keeps=False, will=None):
        options = {'client_id': client_id, 'protocol': VERSION}
        if not IS_5:
            options['clean_session'] = not keeps
        if hasattr(paho, 'CallbackAPIVersion'):
            options['callback_api_version'] = paho.CallbackAPIVersion.VERSION1
        self.keeps = keeps
        self.paho = paho.Client(**options)
        self.messages = []
        self.changed = threading.Condition()
        self.connects = 0
        self.session_present = None
        self.subscribed = 0
        self.granted = None
        self.paho.on_connect = self.on_connect
        self.paho.on_message = self.on_message
        self.paho.on_subscribe = self.on_subscribe
        if will is not None:
            self.paho.will_set(**will)

    def on_connect(self, _client, _userdata, flags, code, *_properties):
        with self.changed:
            present = flags['session present'] if isinstance(flags, dict) else flags.session_present
            self.session_present = bool(present)
            self.connects += 1
            self.refusal = 0 if code == 0 else int(getattr(code, 'value', code))
            self.changed.notify_all()

    def on_message(self, _client, _userdata, message):
        with self.changed:
            self.messages.append(message)
            self.changed.notify_all()

    def on_subscribe(self, _client, _userdata, _mid, granted, *_properties):
        with self.changed:
            self.granted = [int(getattr(code, 'value', code)) for code in granted]
            self.subscribed += 1
            self.changed.notify_all()

    def wait(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(condition, PATIENCE_SECONDS):
                raise AssertionError(f'it does not come: {what}')

    def connect(self, clean=True):
        options = {}
        if IS_5:
            # At its own reconnects it resumes the session.
            options['clean_start'] = paho.MQTT_CLEAN_START_FIRST_ONLY if clean else False
            if self.keeps:
                options['properties'] = Properties(PacketTypes.CONNECT)
                options['properties'].SessionExpiryInterval = 3600
        self.paho.connect(HOST, PORT, 60, **options)
        self.paho.loop_start()
        self.wait(lambda: self.connects > 0, 'CONNACK')
        return self

    def subscribe(self, *filters):
        before = self.subscribed
        self.paho.subscribe([(name, 2) for name in filters])
        self.wait(lambda: self.subscribed > before, 'SUBACK')
        return self.granted

    def publish(self, topic, payload, qos=0, retain=False, properties=None):
        info = self.paho.publish(topic, payload, qos, retain, properties)
        info.wait_for_publish(PATIENCE_SECONDS)
        assert info.is_published(), f'{topic} at QoS {qos} was not acknowledged'

    def take(self, count):
        self.wait(lambda: len(self.messages) >= count, f'{count} messages')
        with self.changed:
            taken, self.messages = self.messages[:count], self.messages[count:]
        return [f'{message.topic} {message.payload.decode()}' for message in taken]

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()

    def break_off(self):
        """Ends the connection without a word; paho comes back by itself."""
        self.paho._sock.shutdown(socket.SHUT_RDWR)


def equal(found, expected):
    assert found == expected, f'got {str(found)[:300]}, expected {str(expected)[:300]}'


def every_qos():
    subscriber = Client('subscriber').connect()
    publisher = Client('publisher').connect()
    equal(subscriber.subscribe('t/#', 'u/+'), [2, 2])
    for qos in (0, 1, 2):
        publisher.publish(f't/{qos}', f'message {qos}', qos)
    equal(subscriber.take(3), ['t/0 message 0', 't/1 message 1', 't/2 message 2'])
    for number in range(200):
        publisher.publish('u/many', str(number), 1)
    equal(subscriber.take(200), [f'u/many {number}' for number in range(200)])
    subscriber.close()
    publisher.close()


def large_payload():
    client = Client('large').connect()
    client.subscribe('large')
    client.publish('large', 'x' * 500_000, 2)
    client.wait(lambda: len(client.messages) == 1, 'the large message')
    equal(len(client.messages[0].payload), 500_000)
    client.close()


def retained():
    client = Client('retaining').connect()
    client.publish('kept/a', 'one', 1, True)
    client.publish('kept/a', 'two', 2, True)
    client.publish('kept/b', 'three', 0, True)
    client.publish('kept/b', '', 1, True)
    client.subscribe('kept/#')
    equal(client.take(1), ['kept/a two'])
    client.publish('kept/a', '', 1, True)
    client.close()


def will():
    watcher = Client('watcher').connect()
    watcher.subscribe('will')
    victim = Client('victim', will={'topic': 'will', 'payload': 'gone', 'qos': 1}).connect()
    polite = Client('polite', will={'topic': 'will', 'payload': 'never', 'qos': 1}).connect()
    polite.close()
    victim.paho.loop_stop()
    victim.break_off()
    equal(watcher.take(1), ['will gone'])
    watcher.close()


def session():
    client = Client('keeps', keeps=True).connect(clean=True)
    equal(client.session_present, False)
    client.subscribe('missed/#')
    client.close()
    publisher = Client('publisher').connect()
    for number in range(20):
        publisher.publish(f'missed/{1 + number % 2}', str(number), 1 + number % 2)
    publisher.close()
    client = Client('keeps', keeps=True).connect(clean=False)
    if VERSION != paho.MQTTv31:
        equal(client.session_present, True)
    # paho hands out QoS 2 when it is released, so that each QoS has an order of its own.
    got = client.take(20)
    for qos in (1, 2):
        own = [line for line in got if line.startswith(f'missed/{qos} ')]
        equal(own, [f'missed/{qos} {number}' for number in range(qos - 1, 20, 2)])
    client.close()


def reconnect():
    client = Client('comes-back', keeps=True)
    client.paho.reconnect_delay_set(1, 1)
    client.connect(clean=True)
    client.subscribe('live')
    publisher = Client('publisher').connect()
    publisher.publish('live', 'before', 2)
    equal(client.take(1), ['live before'])
    client.break_off()
    publisher.publish('live', 'between', 2)
    client.wait(lambda: client.connects == 2, 'it comes back')
    publisher.publish('live', 'after', 2)
    equal(client.take(2), ['live between', 'live after'])
    client.close()
    publisher.close()


def properties_of_5():
    client = Client('properties').connect()
    client.subscribe('p')
    sent = Properties(PacketTypes.PUBLISH)
    sent.ContentType = 'text/plain'
    sent.ResponseTopic = 'back'
    sent.CorrelationData = b'\x01\x02'
    sent.MessageExpiryInterval = 100
    sent.UserProperty = ('name', 'value')
    client.publish('p', 'm', 1, properties=sent)
    client.wait(lambda: len(client.messages) == 1, 'the message')
    got = client.messages[0].properties
    equal(got.ContentType, 'text/plain')
    equal(got.ResponseTopic, 'back')
    equal(got.CorrelationData, b'\x01\x02')
    equal(got.MessageExpiryInterval, 100)
    equal(got.UserProperty, [('name', 'value')])
    client.close()


checks = [every_qos, large_payload, retained, will, session, reconnect]
if IS_5:
    checks.append(properties_of_5)
for check in checks:
    check()
    print(json.dumps({'passed': check.__name__}), flush=True)

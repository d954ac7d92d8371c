// The least that a broker could do for the scenarios of `npm run bench -- floor`, and what that
// costs on this machine: one read per readable connection, one gathered write per connection and
// turn. It is no broker. It checks nothing, keeps nothing, gives no packet identifiers of its own,
// knows MQTT 3.1.1 and topics without wildcards, and takes each connection to publish to one topic.
// What a publisher sends of QoS 0 is not even looked at after its first packet.
//
//   floor PORT [FILE]     with FILE all that was read is on disk before any of it is answered
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
  CONNECTIONS_MAX = 20000,
  TOPICS_MAX = 32768, // a power of two
  READ_BYTES = 65536,
  TURN_BYTES = 8 * READ_BYTES, // what is read before the turn ends
  EVENTS = 512,
  PIECES = 512,
  LOG_BYTES = 64 << 20,
};
enum { CONNECT = 1, PUBLISH = 3, PUBREC = 5, PUBREL = 6, SUBSCRIBE = 8, UNSUBSCRIBE = 10, PING = 12 };

typedef struct {
  unsigned char *name;
  int length, count, room, *subscribers;
} Topic;

typedef struct {
  struct iovec pieces[PIECES];
  int count;
} Output;

typedef struct {
  Topic *topic;         // of the first PUBLISH
  int isRaw;            // QoS 0: bytes, not packets
  unsigned char *rest;  // of a packet whose end has not come
  int restLength;
  Output *output;
} Connection;

static Connection connections[CONNECTIONS_MAX];
static Topic topics[TOPICS_MAX];
static unsigned char input[TURN_BYTES + READ_BYTES], answers[TURN_BYTES];
static int inputLength, answersLength, dirty[CONNECTIONS_MAX], dirtyCount;
static int logFile = -1, logOffset;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static Topic *topicOf(const unsigned char *name, int length) {
  unsigned hash = 2166136261u;
  for (int i = 0; i < length; i++) hash = (hash ^ name[i]) * 16777619u;
  for (unsigned at = hash;; at++) {
    Topic *topic = &topics[at & (TOPICS_MAX - 1)];
    if (topic->name == NULL) {
      topic->name = memcpy(malloc(length + 1), name, length);
      topic->length = length;
      return topic;
    }
    if (topic->length == length && memcmp(topic->name, name, length) == 0) return topic;
  }
}

static void subscribe(Topic *topic, int fd) {
  for (int i = 0; i < topic->count; i++) if (topic->subscribers[i] == fd) return;
  if (topic->count == topic->room) {
    topic->room = topic->room ? 2 * topic->room : 4;
    topic->subscribers = realloc(topic->subscribers, sizeof(int) * topic->room);
  }
  topic->subscribers[topic->count++] = fd;
}

static void leave(int fd) {
  for (int t = 0; t < TOPICS_MAX; t++) for (int i = 0; i < topics[t].count; i++)
    if (topics[t].subscribers[i] == fd) topics[t].subscribers[i--] = topics[t].subscribers[--topics[t].count];
  free(connections[fd].rest);
  free(connections[fd].output);
  memset(&connections[fd], 0, sizeof connections[fd]);
  close(fd);
}

static void flush(int fd) {
  Output *output = connections[fd].output;
  if (output == NULL) return;
  struct iovec *pieces = output->pieces;
  int count = output->count;
  output->count = 0;
  while (count > 0) { // the sockets block: mostly one call takes all
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0) return;
    while (count > 0 && sent >= (ssize_t)pieces->iov_len) sent -= pieces++->iov_len, count--;
    if (count > 0) pieces->iov_base = (char *)pieces->iov_base + sent, pieces->iov_len -= sent;
  }
}

static void endTurn(void) {
  if (logFile >= 0 && inputLength > 0) {
    if (logOffset + inputLength > LOG_BYTES) logOffset = 0;
    if (pwrite(logFile, input, inputLength, logOffset) != inputLength) fail("floor: write");
    if (fdatasync(logFile)) fail("floor: fdatasync");
    logOffset += inputLength;
  }
  for (int i = 0; i < dirtyCount; i++) flush(dirty[i]);
  dirtyCount = inputLength = answersLength = 0;
}

static void send_(int fd, const unsigned char *bytes, int length) {
  Connection *connection = &connections[fd];
  Output *output = connection->output;
  if (output == NULL) output = connection->output = calloc(1, sizeof *output);
  if (output->count == PIECES) flush(fd);
  if (output->count == 0) dirty[dirtyCount++] = fd;
  output->pieces[output->count++] = (struct iovec){(void *)bytes, length};
}

static void relay(Topic *topic, const unsigned char *bytes, int length) {
  for (int i = 0; i < topic->count; i++) send_(topic->subscribers[i], bytes, length);
}

static void answer4(int first, const unsigned char *identifier) {
  unsigned char *at = &answers[answersLength];
  at[0] = first, at[1] = 2, at[2] = identifier[0], at[3] = identifier[1];
  answersLength += 4;
}

// One packet: its answer goes to `answers`. Returns whether it is a PUBLISH.
static int packet(int fd, int first, const unsigned char *body, int length) {
  static const unsigned char none[2] = {0, 0};
  int type = first >> 4, qos = first >> 1 & 3;
  if (type == PUBLISH) {
    int topicLength = body[0] << 8 | body[1];
    Connection *connection = &connections[fd];
    if (connection->topic == NULL) {
      connection->topic = topicOf(body + 2, topicLength);
      connection->isRaw = qos == 0 && logFile < 0;
    }
    if (qos > 0) answer4(qos == 1 ? 0x40 : 0x50, body + 2 + topicLength);
    return 1;
  }
  if (type == CONNECT) answer4(0x20, none);
  else if (type == PUBREC) answer4(0x62, body);
  else if (type == PUBREL) answer4(0x70, body);
  else if (type == UNSUBSCRIBE) answer4(0xb0, body);
  else if (type == PING) {
    answers[answersLength++] = 0xd0;
    answers[answersLength++] = 0;
  } else if (type == SUBSCRIBE) {
    int at = answersLength;
    answer4(0x90, body);
    for (int next = 2; next + 2 < length;) {
      int filterLength = body[next] << 8 | body[next + 1];
      subscribe(topicOf(body + next + 2, filterLength), fd);
      answers[answersLength++] = body[next + 2 + filterLength];
      answers[at + 1]++;
      next += 3 + filterLength;
    }
  }
  return 0;
}

// All whole packets of `bytes`; what follows them waits. PUBLISH packets go on in runs, as they lie.
static void packets(int fd, const unsigned char *bytes, int length) {
  Connection *connection = &connections[fd];
  int at = 0, run = -1, answersFrom = answersLength;
  while (at < length) {
    int size = 0, shift = 0, next = at + 1, isWhole = 0;
    while (next < length && shift <= 21) {
      size |= (bytes[next] & 127) << shift;
      shift += 7;
      if (bytes[next++] < 128) {
        isWhole = next + size <= length;
        break;
      }
    }
    if (!isWhole) break;
    int isPublish = packet(fd, bytes[at], bytes + next, size);
    if (isPublish && run < 0) run = at;
    if (!isPublish && run >= 0) {
      relay(connection->topic, bytes + run, at - run);
      run = -1;
    }
    at = next + size;
    if (connection->isRaw) break;
  }
  if (run >= 0 && !connection->isRaw) relay(connection->topic, bytes + run, at - run);
  if (answersLength > answersFrom) send_(fd, answers + answersFrom, answersLength - answersFrom);
  if (connection->isRaw) relay(connection->topic, bytes + (run < 0 ? at : run), length - (run < 0 ? at : run));
  else if (at < length) {
    connection->rest = memcpy(realloc(connection->rest, length - at), bytes + at, length - at);
    connection->restLength = length - at;
  }
}

static void readable(int fd) {
  Connection *connection = &connections[fd];
  unsigned char *from = input + inputLength;
  int rest = connection->restLength;
  if (rest > READ_BYTES / 2) fail("floor: a packet is too large");
  if (rest > 0) memcpy(from, connection->rest, rest);
  ssize_t count = recv(fd, from + rest, READ_BYTES - rest, 0);
  if (count <= 0) {
    endTurn(); // nothing that is on its way may point at what is freed
    leave(fd);
    return;
  }
  connection->restLength = 0;
  if (connection->isRaw) relay(connection->topic, from, count);
  else packets(fd, from, rest + count);
  inputLength += rest + count;
  // A byte of input has at most two of answers: PINGREQ and PUBREL are as long as their answers.
  if (inputLength > TURN_BYTES - READ_BYTES || answersLength > TURN_BYTES / 2) endTurn();
}

int main(int argc, char **argv) {
  if (argc < 2) return fprintf(stderr, "usage: floor PORT [FILE]\n"), 2;
  if (argc > 2) {
    logFile = open(argv[2], O_RDWR | O_CREAT, 0600);
    if (logFile < 0) fail("floor: open");
    for (int i = 0; i < LOG_BYTES / READ_BYTES; i++)
      if (write(logFile, input, READ_BYTES) != READ_BYTES) fail("floor: write");
    if (fsync(logFile)) fail("floor: fsync");
  }
  int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096)) fail("floor: listen");
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int count = epoll_wait(poll, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd != listener) {
        readable(fd);
        continue;
      }
      int client = accept(listener, NULL, NULL);
      if (client < 0 || client >= CONNECTIONS_MAX) fail("floor: accept");
      setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      event.data.fd = client;
      epoll_ctl(poll, EPOLL_CTL_ADD, client, &event);
    }
    endTurn();
  }
}

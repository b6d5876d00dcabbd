/* A proxy that does nothing: each connection gets one to the backend, and bytes are copied both ways by
 * the four calls that a proxy over sockets makes: receive, send, receive, send. It reads no HTTP,
 * chooses nothing, logs nothing. What it costs is the kernel's share of every proxy's figure, and the
 * bound for ours.
 *   usage: bare PORT BACKEND_PORT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM = 16384, EVENTS = 256 };

struct side {
  int fd;
  struct side* other;
};

static int poller;
static char buffer[ROOM];

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static struct sockaddr_in loopback(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

static void watch(int fd, void* what) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
}

/* Connections are few and long: a pair that has ended keeps its few bytes of memory. Both its
 * descriptors may still be named in the events at hand, so a closed side is marked. */
static void end(struct side* one) {
  close(one->fd);
  close(one->other->fd);
  one->fd = one->other->fd = -1;
}

static void begin(int downstream, int backend_port) {
  struct sockaddr_in backend = loopback(backend_port);
  int upstream = socket(AF_INET, SOCK_STREAM, 0);
  if (upstream < 0 || connect(upstream, (void*)&backend, sizeof backend)) fail("backend");
  int on = 1;
  setsockopt(downstream, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(upstream, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct side* pair = calloc(2, sizeof *pair);
  if (!pair) fail("calloc");
  pair[0] = (struct side){downstream, &pair[1]};
  pair[1] = (struct side){upstream, &pair[0]};
  watch(downstream, &pair[0]);
  watch(upstream, &pair[1]);
}

/* The descriptors block: a message of the benchmark fits into any socket's buffer. */
static void copy(struct side* from) {
  if (from->fd < 0) return;
  ssize_t size = recv(from->fd, buffer, ROOM, 0);
  if (size <= 0 || send(from->other->fd, buffer, size, MSG_NOSIGNAL) != size) end(from);
}

int main(int count, char** arguments) {
  if (count != 3) {
    fprintf(stderr, "usage: bare PORT BACKEND_PORT\n");
    return 2;
  }
  struct sockaddr_in here = loopback(atoi(arguments[1]));
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (listener < 0 || bind(listener, (void*)&here, sizeof here) || listen(listener, 1024)) fail("listen");
  poller = epoll_create1(0);
  if (poller < 0) fail("epoll_create1");
  watch(listener, NULL);
  for (;;) {
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(poller, events, EVENTS, -1);
    if (ready < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < ready; ++i) {
      if (events[i].data.ptr) {
        copy(events[i].data.ptr);
        continue;
      }
      int downstream = accept(listener, NULL, NULL);
      if (downstream >= 0) begin(downstream, atoi(arguments[2]));
    }
  }
}

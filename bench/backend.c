/* The server behind every proxy of the benchmarks: one thread, epoll, prepared answers, so that what
 * is measured is the proxy. GET /b/N answers 200 with N bytes (100 when no number is given); bodies
 * with a Content-Length are read and thrown away.
 *   usage: backend PORT */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM = 16384, EVENTS = 256 };

struct answer {
  long body;
  size_t size;
  char* bytes;
  struct answer* next;
};

struct connection {
  int fd;
  int closing;
  long skip;    /* bytes of a request body still to come */
  size_t filled;
  const struct answer* sending;
  size_t sent;
  char buffer[ROOM + 1];
};

static struct answer* answers;

static const struct answer* answer_of(long body) {
  struct answer* one = answers;
  while (one && one->body != body) one = one->next;
  if (one) return one;
  one = calloc(1, sizeof *one);
  one->bytes = malloc((size_t)body + 256);
  int head = sprintf(one->bytes,
                     "HTTP/1.1 200 OK\r\nServer: backend\r\nContent-Type: text/plain\r\n"
                     "Content-Length: %ld\r\n\r\n", body);
  memset(one->bytes + head, 'x', (size_t)body);
  one->body = body;
  one->size = (size_t)head + (size_t)body;
  one->next = answers;
  return answers = one;
}

/* 1: all sent, 0: the socket is full, -1: the peer is gone */
static int flush_answer(struct connection* c) {
  while (c->sending && c->sent < c->sending->size) {
    ssize_t n = send(c->fd, c->sending->bytes + c->sent, c->sending->size - c->sent, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN ? 0 : -1;
    c->sent += (size_t)n;
  }
  c->sending = NULL;
  c->sent = 0;
  return c->closing ? -1 : 1;
}

static void drop(struct connection* c, size_t bytes) {
  memmove(c->buffer, c->buffer + bytes, c->filled - bytes);
  c->filled -= bytes;
}

/* Answers every whole request in the buffer; -1 to close. */
static int work(struct connection* c) {
  for (;;) {
    if (c->sending) {
      int state = flush_answer(c);
      if (state <= 0) return state;
    }
    if (c->skip > 0) {
      size_t now = (size_t)c->skip < c->filled ? (size_t)c->skip : c->filled;
      drop(c, now);
      c->skip -= (long)now;
      if (c->skip > 0) return 0;
    }
    char* end = memmem(c->buffer, c->filled, "\r\n\r\n", 4);
    if (!end) return c->filled == ROOM ? -1 : 0;
    end[2] = 0;
    const char* target = strchr(c->buffer, ' ');
    long body = target && !strncmp(target + 1, "/b/", 3) ? atol(target + 4) : 100;
    const char* length = strcasestr(c->buffer, "\ncontent-length:");
    if (length) c->skip = atol(length + 16);
    if (strcasestr(c->buffer, "\nconnection: close")) c->closing = 1;
    drop(c, (size_t)(end + 4 - c->buffer));
    c->sending = answer_of(body);
  }
}

static int serve(struct connection* c, unsigned events) {
  if ((events & EPOLLOUT) && c->sending && work(c) < 0) return -1;
  while (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) {
    size_t room = ROOM - c->filled;
    ssize_t n = recv(c->fd, c->buffer + c->filled, room, 0);
    if (n == 0) return -1;
    if (n < 0) return errno == EAGAIN ? 0 : -1;
    c->filled += (size_t)n;
    if (work(c) < 0) return -1;
    if ((size_t)n < room && !(events & (EPOLLRDHUP | EPOLLHUP))) return 0;
  }
  return 0;
}

int main(int count, char** words) {
  if (count != 2) return fprintf(stderr, "usage: backend PORT\n"), 2;
  const int one = 1;
  int poll = epoll_create1(0);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(words[1])),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) || listen(listener, 4096)) {
    return perror("backend"), 1;
  }
  struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &wanted);
  struct epoll_event events[EVENTS];
  for (;;) {
    int ready = epoll_wait(poll, events, EVENTS, -1);
    for (int i = 0; i < ready; i++) {
      struct connection* c = events[i].data.ptr;
      if (c) {
        if (serve(c, events[i].events) < 0) close(c->fd), free(c);
        continue;
      }
      int fd;
      while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c = calloc(1, sizeof *c);
        c->fd = fd;
        wanted = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &wanted);
      }
    }
  }
}

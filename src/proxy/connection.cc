#include "proxy/connection.h"

#include <utility>

#include "proxy/worker.h"

namespace fairlead::proxy {

Connection::Connection(Worker& worker, Accepted accepted, ChainPointer chain,
                       SnapshotTablePointer table)
    : worker_(worker),
      stream_(std::move(accepted.stream)),
      dialled_(accepted.dialled),
      server_name_(std::move(accepted.server_name)),
      chain_(std::move(chain)),
      table_(std::move(table)),
      remote_text_(stream_->peer().text()),
      dialled_text_(dialled_.text()),
      id_(worker.next_connection_id()),
      accepted_at_(worker.loop().now()) {
  worker_.opened(*this);
}

Connection::~Connection() {
  worker_.closed(*this);
}

void Connections::add(Connection& connection) {
  connection.next_ = first_;
  connection.previous_ = nullptr;
  if (first_) first_->previous_ = &connection;
  first_ = &connection;
  ++size_;
}

void Connections::remove(Connection& connection) {
  if (connection.previous_) {
    connection.previous_->next_ = connection.next_;
  } else {
    first_ = connection.next_;
  }
  if (connection.next_) connection.next_->previous_ = connection.previous_;
  --size_;
}

}  // namespace fairlead::proxy

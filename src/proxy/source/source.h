// Where a proxy's snapshots come from: the bootstrap file, a control plane over ADS, and the last
// good configuration on disk for when control is not there yet. Runs on one loop, that of the
// control thread; what it gives away is immutable.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "config/snapshot.h"
#include "xds/bootstrap.h"
#include "xds/session.h"

namespace fairlead::net {
class Loop;
}

namespace fairlead::proxy {

struct SourceOptions {
  xds::Bootstrap bootstrap;
  std::string last_good_path;  // a file to keep and to start from; empty: none
  xds::ClientOptions client;
  Duration first_wait = std::chrono::milliseconds(500);  // between attempts to connect, then
  Duration longest_wait = std::chrono::seconds(30);      // doubled up to this, each cut by chance
  Duration resolve_every = std::chrono::seconds(5);      // names of strict_dns clusters
};

// One type of resources, as the admin port tells it.
struct SourceType {
  xds::ResourceType type = xds::ResourceType::cluster;
  std::string version;  // version_info in force; empty: none yet
  std::string refusal;  // why the last response was refused; empty: it was not
  xds::AdsClient::Counts counts;
};

struct SourceStatus {
  bool dynamic = false;    // the bootstrap names a control plane
  bool connected = false;  // with an open discovery stream
  bool from_disk = false;  // what is in force came from the last good file
  std::uint64_t attempts = 0;
  std::string control;  // the address that it talks to, or tries
  std::string trouble;  // why it is not connected; empty when it is
  std::string world;    // of the snapshot in force; empty: none yet
  std::array<SourceType, 4> types;
  std::vector<std::string> waiting_for;  // what the next snapshot lacks
  std::vector<std::string> closed;       // parts that a protection closes which is not enforced
};

class Source {
 public:
  using Take = std::function<void(config::SnapshotPointer)>;
  // Called on the loop's thread with each new snapshot, the first time from within start().

  Source(net::Loop& loop, SourceOptions options, Take take);
  ~Source();
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  // Everything here is called on the loop's thread.

  void start();
  // Gives the first snapshot: the last good one where there is one, else the static part, and keeps
  // on from there. Names in strict_dns clusters are resolved, again and again: a snapshot carries
  // addresses (LbEndpoint::host is empty) and comes anew when they change.
  [[nodiscard]] Task<> close();
  // Ends the stream and everything else, and saves what is not saved yet; no snapshot comes after
  // it. Await it before the source dies, unless start() was never called.

  [[nodiscard]] bool ready() const;
  // A snapshot that can serve is in force: any for a static bootstrap, else one from control or
  // disk.
  [[nodiscard]] SourceStatus status() const;
  [[nodiscard]] std::string config_dump() const;
  // The admin port's /config_dump.

 private:
  struct State;
  std::unique_ptr<State> state_;
};

[[nodiscard]] std::string status_json(const SourceStatus& status);
// {"dynamic","connected","fromDisk","attempts","control","trouble","world",
//  "types":[{"type":"CDS","version","refusal","accepted","refused","unhonoured"}],"waitingFor":[],
//  "closed":["Listener l, filter chain tls: filter_chains[1].transport_socket: ..."]}

}  // namespace fairlead::proxy

#include "witness/access_log.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace fairlead::witness {
namespace {

// Paths in a line. Texts of Envoy's own in the middle may hold spaces; those that users can set
// stand in quotes, and a quote in them is escaped.
constexpr std::size_t least_words = 22;
constexpr std::size_t status_word = 2;
constexpr std::size_t flags_word = 3;

// From the end.
constexpr std::size_t route_word = 1;
constexpr std::size_t downstream_remote_word = 3;
constexpr std::size_t downstream_local_word = 4;
constexpr std::size_t upstream_local_word = 5;
constexpr std::size_t cluster_word = 6;
constexpr std::size_t upstream_remote_word = 7;
constexpr std::size_t id_word = 9;
constexpr std::size_t duration_word = 13;

// Where the word that begins at `at` ends.
std::size_t end_of_word(std::string_view line, std::size_t at) {
  const char first = line[at];
  if (first == '[' && at == 0) return std::min(line.find(']'), line.size() - 1) + 1;
  if (first != '"') return std::min(line.find(' ', at), line.size());
  for (std::size_t end = at + 1; end < line.size(); ++end) {
    if (line[end] == '\\')
      ++end;
    else if (line[end] == '"')
      return end + 1;
  }
  return line.size();
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t end = end_of_word(line, at);
    std::string_view word = line.substr(at, end - at);
    if (word.size() >= 2 && word.front() == '"' && word.back() == '"') {
      word = word.substr(1, word.size() - 2);
    }
    words.push_back(word);
    at = std::min(line.find_first_not_of(' ', end), line.size());
  }
  return words;
}

std::uint64_t number_in(std::string_view word) {
  std::uint64_t number = 0;
  std::from_chars(word.data(), word.data() + word.size(), number);
  return number;
}

std::string text_in(std::string_view word) {
  return word == "-" ? std::string() : std::string(word);
}

std::optional<SocketAddress> address_in(std::string_view word) {
  const Result<SocketAddress> address = SocketAddress::parse(word);
  return address ? std::optional(*address) : std::nullopt;
}

bool is_inbound(std::string_view cluster) {
  return cluster.starts_with("inbound|") || cluster.starts_with("Inbound");
}

struct Told {
  explain::ProxyRecord record;
  std::string_view id;
};

std::optional<Told> told_by(std::string_view line, const std::string& proxy) {
  if (!line.starts_with('[')) return std::nullopt;
  const std::vector<std::string_view> words = words_of(line);
  if (words.size() < least_words) return std::nullopt;
  const auto from_end = [&](std::size_t place) { return words[words.size() - place]; };
  const std::optional<SocketAddress> remote = address_in(from_end(downstream_remote_word));
  if (!remote) return std::nullopt;
  const std::string_view cluster = from_end(cluster_word);
  const SocketAddress local = address_in(from_end(downstream_local_word)).value_or(SocketAddress{});
  constexpr std::uint64_t microseconds_each = 1000;
  explain::ProxyRecord record{
      .proxy = proxy,
      .direction = is_inbound(cluster) ? "inbound" : "outbound",
      .from_access_log = true,
      .downstream_remote = *remote,
      .downstream_local = local,
      .original_destination = local,
      .upstream_local = address_in(from_end(upstream_local_word)),
      .upstream_remote = address_in(from_end(upstream_remote_word)),
      .route = text_in(from_end(route_word)),
      .cluster = text_in(cluster),
      .endpoint = text_in(from_end(upstream_remote_word)),
      .status = static_cast<int>(number_in(words[status_word])),
      .flags = text_in(words[flags_word]),
      .microseconds = number_in(from_end(duration_word)) * microseconds_each};
  return Told{.record = std::move(record), .id = from_end(id_word)};
}

}  // namespace

std::vector<explain::ProxyRecord> records_from_access_log(std::string_view log,
                                                          const std::string& proxy,
                                                          const Wanted& wanted) {
  std::vector<explain::ProxyRecord> records;
  while (!log.empty()) {
    const std::size_t end = log.find('\n');
    if (end == std::string_view::npos) break;  // it is being written
    std::optional<Told> told = told_by(log.substr(0, end), proxy);
    if (told && wanted(told->record, told->id)) records.push_back(std::move(told->record));
    log.remove_prefix(end + 1);
  }
  return records;
}

}  // namespace fairlead::witness

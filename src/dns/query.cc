#include "dns/query.h"

#include <fmt/format.h>

#include <algorithm>

namespace fairlead::dns {

std::string query(std::uint16_t id, const Name& name, Type type) {
  return write({.header = {.id = id, .recursion_desired = true},
                .questions = {{.name = name, .type = type}},
                .edns = Edns{}});
}

Result<Reply> read_reply(std::span<const std::uint8_t> bytes, std::uint16_t id, const Name& name,
                         Type type) {
  Result<Message> message = parse(bytes);
  if (!message) return std::move(message).fault();
  if (!message->header.response || message->header.id != id) {
    return invalid("this is no response to our query");
  }
  // A server that could not read the question need not repeat it.
  const Question asked{.name = name, .type = type};
  const auto& questions = message->questions;
  const bool repeated = questions.size() == 1 && questions.front() == asked;
  if (!repeated && !(questions.empty() && message->header.code != Code::no_error)) {
    return invalid("this response answers another question");
  }
  Reply reply{.code = message->header.code, .truncated = message->header.truncated};
  for (const Record& record : message->answers) {
    const auto* address = std::get_if<IpAddress>(&record.data);
    if (address != nullptr && record.type == type) reply.addresses.push_back(*address);
  }
  reply.answers = std::move(message->answers);
  return reply;
}

std::string framed(std::string_view message) {
  const std::size_t size = std::min(message.size(), largest_message);
  std::string bytes{static_cast<char>(size >> 8), static_cast<char>(size & 0xffU)};
  bytes.append(message.substr(0, size));
  return bytes;
}

std::vector<std::string> search_path(std::string_view name_space, std::string_view domain) {
  return {fmt::format("{}.svc.{}", name_space, domain), fmt::format("svc.{}", domain),
          std::string(domain)};
}

std::vector<std::string> candidates(std::string_view name, const std::vector<std::string>& search,
                                    int ndots) {
  if (name.ends_with('.')) return {std::string(name.substr(0, name.size() - 1))};
  std::vector<std::string> names;
  names.reserve(search.size() + 1);
  for (const std::string& suffix : search) names.push_back(fmt::format("{}.{}", name, suffix));
  const bool absolute_first = std::count(name.begin(), name.end(), '.') >= ndots;
  names.insert(absolute_first ? names.begin() : names.end(), std::string(name));
  return names;
}

}  // namespace fairlead::dns

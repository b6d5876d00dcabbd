#include "dns/respond.h"

#include <algorithm>
#include <utility>

namespace fairlead::dns {
namespace {

constexpr std::uint16_t largest_udp = 1232;  // what passes everywhere without fragments

// What can be said to a message that was not understood: its id and what it asked to be done.
std::string say(const Header& query, Code code) {
  return write({.header = {.id = query.id,
                           .response = true,
                           .opcode = query.opcode,
                           .recursion_desired = query.recursion_desired,
                           .code = code}});
}

std::size_t limit_of(const Message& query, Carrier carrier) {
  if (carrier == Carrier::tcp) return largest_message;
  if (!query.edns) return plain_udp_size;
  return std::clamp<std::size_t>(query.edns->size, plain_udp_size, largest_udp);
}

// Each client takes the first: so the first is another one each time.
void shuffle_addresses(std::vector<Record>& records, Random& chance) {
  const auto is_address = [](const Record& record) {
    return std::holds_alternative<IpAddress>(record.data);
  };
  const auto begin = std::find_if(records.begin(), records.end(), is_address);
  for (auto left = static_cast<std::uint64_t>(records.end() - begin); left > 1; --left) {
    const auto other = static_cast<std::ptrdiff_t>(chance.below(left));
    std::swap(*(begin + static_cast<std::ptrdiff_t>(left) - 1), *(begin + other));
  }
}

Code complaint_about(const Message& query) {
  if (query.header.opcode != Opcode::query) return Code::not_implemented;
  if (query.questions.size() != 1) return Code::format_error;
  if (query.edns && query.edns->version != 0) return Code::bad_version;
  const Question& question = query.questions.front();
  if (question.type == Type::opt) return Code::format_error;
  if (question.klass != Class::internet && question.klass != Class::any) return Code::refused;
  return Code::no_error;
}

}  // namespace

std::string respond(const Zone& zone, std::span<const std::uint8_t> query, Carrier carrier,
                    Random& chance) {
  const std::optional<Header> header = read_header(query);
  if (!header || header->response) return {};
  Result<Message> parsed = parse(query);
  if (!parsed) {
    const bool ours = header->opcode == Opcode::query;
    return say(*header, ours ? Code::format_error : Code::not_implemented);
  }
  Message response{.header = {.id = header->id,
                              .response = true,
                              .opcode = header->opcode,
                              .recursion_desired = header->recursion_desired,
                              .code = complaint_about(*parsed)}};
  if (parsed->edns) {
    response.edns = Edns{.size = largest_udp, .dnssec_ok = parsed->edns->dnssec_ok};
  }
  const std::size_t limit = limit_of(*parsed, carrier);
  if (parsed->questions.size() == 1) response.questions = std::move(parsed->questions);
  if (response.header.code != Code::no_error) return write(response, limit);
  Answer said = answer(zone, response.questions.front());
  response.header.code = said.code;
  response.header.authoritative = said.authoritative;
  response.answers = std::move(said.answers);
  response.authority = std::move(said.authority);
  response.additional = std::move(said.additional);
  shuffle_addresses(response.answers, chance);
  return write(response, limit);
}

}  // namespace fairlead::dns

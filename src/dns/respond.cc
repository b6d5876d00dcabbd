#include "dns/respond.h"

#include <algorithm>
#include <utility>

namespace fairlead::dns {
namespace {

std::size_t limit_of(const Message& query, Carrier carrier) {
  if (carrier == Carrier::tcp) return largest_message;
  if (!query.edns) return plain_udp_size;
  return std::clamp<std::size_t>(query.edns->size, plain_udp_size, largest_udp);
}

// Each client takes the first: so the first is another one each time. They are all of one name, and
// nothing comes behind them.
void shuffle_addresses(std::vector<Record>& records, Random& chance) {
  const auto is_address = [](const Record& record) {
    return std::holds_alternative<IpAddress>(record.data);
  };
  const auto begin = std::find_if(records.begin(), records.end(), is_address);
  for (auto left = static_cast<std::uint64_t>(records.end() - begin); left > 1; --left) {
    Record& one = *(begin + static_cast<std::ptrdiff_t>(left) - 1);
    Record& other = *(begin + static_cast<std::ptrdiff_t>(chance.below(left)));
    std::swap(one.type, other.type);
    std::swap(one.data, other.data);
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

std::size_t Responder::respond(std::span<const std::uint8_t> query, Carrier carrier,
                               std::span<char> into) {
  const std::optional<Header> asked = read_header(query);
  if (!asked || asked->response) return 0;
  Header header{.id = asked->id,
                .response = true,
                .opcode = asked->opcode,
                .recursion_desired = asked->recursion_desired};
  if (Result<> parsed = parse(query, message_); !parsed) {
    const bool ours = asked->opcode == Opcode::query;
    header.code = ours ? Code::format_error : Code::not_implemented;
    return write({.header = header}, into);
  }
  const std::size_t limit = limit_of(message_, carrier);
  header.code = complaint_about(message_);
  message_.answers.clear();
  message_.authority.clear();
  message_.additional.clear();
  if (message_.edns)
    message_.edns = Edns{.size = largest_udp, .dnssec_ok = message_.edns->dnssec_ok};
  if (message_.questions.size() != 1) message_.questions.clear();
  if (header.code == Code::no_error) {
    answer(zone_, message_.questions.front(), answer_);
    header.code = answer_.code;
    header.authoritative = answer_.authoritative;
    message_.answers.swap(answer_.answers);
    message_.authority.swap(answer_.authority);
    message_.additional.swap(answer_.additional);
    shuffle_addresses(message_.answers, chance_);
  }
  message_.header = header;
  return write(message_, into.first(std::min(into.size(), limit)));
}

}  // namespace fairlead::dns

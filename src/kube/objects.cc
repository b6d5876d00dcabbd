#include "kube/objects.h"

#include <algorithm>
#include <string_view>

namespace fairlead::kube {

const OwnerReference* controller_of(const Metadata& metadata LIFETIMEBOUND) {
  for (const OwnerReference& owner : metadata.owners) {
    if (owner.controller) return &owner;
  }
  return nullptr;
}

bool selects(const StringMap& selector, const StringMap& labels) {
  return std::all_of(selector.begin(), selector.end(), [&](const auto& wanted) {
    const auto found = labels.find(wanted.first);
    return found != labels.end() && found->second == wanted.second;
  });
}

namespace {

bool holds(const SelectorRequirement& requirement, const StringMap& labels) {
  using Operator = SelectorRequirement::Operator;
  const auto found = labels.find(requirement.key);
  const bool there = found != labels.end();
  const auto listed = [&] {
    return std::find(requirement.values.begin(), requirement.values.end(), found->second) !=
           requirement.values.end();
  };
  switch (requirement.operation) {
    case Operator::in:
      return there && listed();
    case Operator::not_in:
      return !there || !listed();
    case Operator::exists:
      return there;
    case Operator::does_not_exist:
      return !there;
  }
  return false;
}

}  // namespace

bool LabelSelector::matches(const StringMap& labels) const {
  return selects(match_labels, labels) &&
         std::all_of(match_expressions.begin(), match_expressions.end(),
                     [&](const SelectorRequirement& each) { return holds(each, labels); });
}

int Share::of(int total, bool round_up) const {
  if (!percent) return amount;
  return (total * amount + (round_up ? 99 : 0)) / 100;
}

bool is_ready(const Pod& pod) {
  const Condition* ready = find_condition(pod.status.conditions, "Ready");
  return ready != nullptr && ready->status == "True";
}

bool is_terminating(const Pod& pod) {
  return !pod.metadata.deletion_time.empty();
}

bool is_over(const Pod& pod) {
  return pod.status.phase == PodPhase::succeeded || pod.status.phase == PodPhase::failed;
}

const Condition* find_condition(const std::vector<Condition>& conditions LIFETIMEBOUND,
                                std::string_view type) {
  for (const Condition& condition : conditions) {
    if (condition.type == type) return &condition;
  }
  return nullptr;
}

void set_condition(std::vector<Condition>& conditions, Condition condition) {
  for (Condition& existing : conditions) {
    if (existing.type == condition.type) {
      existing = std::move(condition);
      return;
    }
  }
  conditions.push_back(std::move(condition));
}

}  // namespace fairlead::kube

package org.tessera.plan;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.tessera.plan.Candidate.Feasible;
import org.tessera.plan.Candidate.Refused;

/** The JSON form of a plan: maps, lists, strings and numbers. */
final class PlanJson {
  private PlanJson() {}

  static Map<String, Object> of(Plan plan) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("device_map", plan.deviceMap());
    json.put("per_device_bytes", plan.perDeviceBytes());
    json.put("reason", plan.reason());
    json.put("notes", plan.notes());
    plan.deployment()
        .ifPresent(deployment -> {
          json.put("deployment", DeploymentText.toJson(deployment));
          Map<String, Object> workload = new LinkedHashMap<>();
          workload.put("prompt_tokens", plan.workload().promptTokens());
          workload.put("slices", plan.workload().sliceCount());
          workload.put("batch", plan.workload().batch());
          json.put("workload", workload);
          json.put(
              "candidates",
              plan.candidates().stream()
                  .map(candidate -> candidate(candidate, plan.isChosen(candidate)))
                  .toList());
        });
    return Collections.unmodifiableMap(json);
  }

  private static Map<String, Object> candidate(Candidate candidate, boolean chosen) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", candidate.name());
    json.put("chosen", chosen);
    json.put("reason", candidate.reason());
    switch (candidate) {
      case Refused refused -> json.put("feasible", false);
      case Feasible feasible -> {
        json.put("feasible", true);
        json.put("placement", feasible.placement());
        Map<String, Object> bytes = new LinkedHashMap<>();
        feasible.perDevice().forEach((device, use) -> bytes.put(device.label(), use.totalBytes()));
        json.put("per_device_bytes", bytes);
        json.put("first_token_seconds", feasible.prediction().firstTokenSeconds());
        json.put("token_seconds", feasible.prediction().tokenSeconds());
        json.put("tokens_per_second", feasible.prediction().tokensPerSecond());
      }
    }
    return json;
  }
}

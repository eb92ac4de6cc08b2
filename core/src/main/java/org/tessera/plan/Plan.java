package org.tessera.plan;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tessera.plan.Candidate.Feasible;

/**
 * Where each part of the model lies and what that takes.
 *
 * @param deviceMap device labels by module path, neighbours merged; the empty path is everything,
 *     and a module that is cut over devices or has a copy on each lists them: {@code 0,1}
 * @param breakdown predicted bytes of each device that holds something
 * @param reason why it is this plan, in one line
 * @param notes what the user should know beside that, each one sentence
 * @param deployment what the engine runs; empty where accelerate's own map was asked for
 * @param candidates what was looked at, the chosen one among them
 * @param workload for which candidates' times are predicted
 */
public record Plan(
    Map<String, String> deviceMap,
    List<PerDevice> breakdown,
    String reason,
    List<String> notes,
    Optional<Deployment> deployment,
    List<Candidate> candidates,
    Workload workload) {

  /**
   * Predicted bytes of a device.
   *
   * @param device label
   * @param kvBytes keys and values of every layer on it, at full context
   * @param activationBytes of the decoder's widest layer, with logits where the head lies
   * @param visionPeakBytes activations of the vision tower and the resampler
   * @param runtimeBytes what a GPU's driver and libraries take before any tensor
   */
  public record PerDevice(
      String device,
      long weightBytes,
      long kvBytes,
      long activationBytes,
      long visionPeakBytes,
      long runtimeBytes) {
    /** The sum. */
    public long totalBytes() {
      return weightBytes + kvBytes + activationBytes + visionPeakBytes + runtimeBytes;
    }
  }

  public Plan {
    deviceMap = Collections.unmodifiableMap(new LinkedHashMap<>(deviceMap));
    breakdown = List.copyOf(breakdown);
    notes = List.copyOf(notes);
    candidates = List.copyOf(candidates);
  }

  /** Predicted bytes by device label, of devices that hold something. */
  public Map<String, Long> perDeviceBytes() {
    Map<String, Long> bytes = new LinkedHashMap<>();
    breakdown.forEach(use -> bytes.put(use.device(), use.totalBytes()));
    return Collections.unmodifiableMap(bytes);
  }

  /** Whether this plan is that candidate. */
  public boolean isChosen(Candidate candidate) {
    return candidate instanceof Feasible feasible
        && deployment.equals(Optional.of(feasible.deployment()));
  }

  /** Keys and values of the JSON form, in order. */
  public Map<String, Object> toJson() {
    return PlanJson.of(this);
  }

  Plan withNotes(List<String> more) {
    return new Plan(deviceMap, breakdown, reason, more, deployment, candidates, workload);
  }
}

package org.tessera.plan;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Where each part of the model lies and what that takes.
 *
 * @param deviceMap device label by module path, neighbours merged; the empty path is everything
 * @param perDeviceBytes predicted bytes by device label, of devices that hold something
 * @param breakdown what those bytes are, in the same order
 * @param reason why it is this plan, in one line
 * @param notes what the user should know beside that, each one sentence
 */
public record Plan(
    Map<String, String> deviceMap,
    Map<String, Long> perDeviceBytes,
    List<PerDevice> breakdown,
    String reason,
    List<String> notes) {

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
    perDeviceBytes = Collections.unmodifiableMap(new LinkedHashMap<>(perDeviceBytes));
    breakdown = List.copyOf(breakdown);
    notes = List.copyOf(notes);
  }

  /** Keys and values of the JSON form, in order. */
  public Map<String, Object> toJson() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("device_map", deviceMap);
    json.put("per_device_bytes", perDeviceBytes);
    json.put("reason", reason);
    json.put("notes", notes);
    return Collections.unmodifiableMap(json);
  }
}

package org.tessera.api;

import java.util.Map;

/**
 * What was loaded and where it runs.
 *
 * @param name the checkpoint directory's name
 * @param architecture as its config.json names it
 * @param parameterCount elements of all weights
 * @param weightBytes bytes of all weights as stored
 * @param deviceMap module prefixes to device ids; the empty prefix is everything
 * @param deviceName the maker's name of the device
 * @param contextTokens tokens that the key/value cache holds
 * @param loadMillis time that loading took
 */
public record ModelInfo(
    String name,
    String architecture,
    long parameterCount,
    long weightBytes,
    Map<String, String> deviceMap,
    String deviceName,
    int contextTokens,
    double loadMillis) {
  public ModelInfo {
    deviceMap = Map.copyOf(deviceMap);
  }
}

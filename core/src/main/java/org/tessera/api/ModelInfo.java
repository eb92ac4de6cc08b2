package org.tessera.api;

import java.util.Map;

/**
 * What was loaded and where it runs.
 *
 * @param name the checkpoint directory's name
 * @param architecture as its config.json names it
 * @param parameterCount elements of all weights
 * @param weightBytes bytes of all weights as stored
 * @param deviceMap module prefixes to device ids, several joined by commas where a module is cut or
 *     there are copies; the empty prefix is everything, consecutive layers are one key such as
 *     {@code llm.model.layers.0-13}
 * @param deviceName the maker's name of the device, or of all
 * @param placement what runs where, in one line
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
    String placement,
    int contextTokens,
    double loadMillis) {
  public ModelInfo {
    deviceMap = Map.copyOf(deviceMap);
  }
}

package org.tessera.api;

import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SortedMap;
import org.tessera.error.InvalidRequestException;
import org.tessera.plan.Deployment;
import org.tessera.plan.DeviceId;
import org.tessera.plan.DeviceMapChoice;
import org.tessera.tensor.DType;
import org.tessera.weights.LoadProgress;

/**
 * How a checkpoint is loaded.
 *
 * @param devices where the model runs
 * @param dtype element type of the weight matrices; absent for the checkpoint's own
 * @param contextTokens tokens of all running conversations together that the key/value cache of a
 *     copy of the model holds; absent for as many as the model allows and memory affords
 * @param maxWaiting requests that wait for their turn at most; absent for any number
 * @param trustedPlugins a directory of jars whose architectures may be loaded; their code runs
 * @param progress told while weights are fetched
 */
public record LoadOptions(
    DeviceOptions devices,
    Optional<DType> dtype,
    OptionalInt contextTokens,
    OptionalInt maxWaiting,
    Optional<Path> trustedPlugins,
    LoadProgress progress) {
  public LoadOptions {
    if (contextTokens.isPresent() && contextTokens.getAsInt() < 1) {
      throw new InvalidRequestException(
          "context_tokens must be at least 1, not " + contextTokens.getAsInt());
    }
  }

  public static LoadOptions defaults() {
    return new LoadOptions(
        DeviceOptions.AUTO,
        Optional.empty(),
        OptionalInt.empty(),
        OptionalInt.empty(),
        Optional.empty(),
        LoadProgress.NONE);
  }

  /** On these devices only: see {@link DeviceOptions#device}. */
  public LoadOptions withDevice(String value) {
    return withDevices(devices.withDevice(value));
  }

  /** Laid out by a strategy or a map: see {@link DeviceOptions#deviceMap}. */
  public LoadOptions withDeviceMap(DeviceMapChoice value) {
    return withDevices(devices.withDeviceMap(value));
  }

  /** On these devices only, within these bytes. */
  public LoadOptions withMaxMemory(SortedMap<DeviceId, Long> value) {
    return withDevices(devices.withMaxMemory(value));
  }

  /** With every layer of the decoder cut over this many ranks. */
  public LoadOptions withTensorParallel(int value) {
    return withDevices(devices.withTensorParallel(value));
  }

  /** As this many copies, over which requests are divided. */
  public LoadOptions withReplicas(int value) {
    return withDevices(devices.withReplicas(value));
  }

  /** Exactly so, whatever the other options say of devices. */
  public LoadOptions withDeployment(Deployment value) {
    return withDevices(devices.withDeployment(value));
  }

  /** Where the model runs, all of it. */
  public LoadOptions withDevices(DeviceOptions value) {
    return new LoadOptions(value, dtype, contextTokens, maxWaiting, trustedPlugins, progress);
  }

  public LoadOptions withDtype(DType value) {
    return new LoadOptions(
        devices, Optional.of(value), contextTokens, maxWaiting, trustedPlugins, progress);
  }

  public LoadOptions withContextTokens(int value) {
    return new LoadOptions(
        devices, dtype, OptionalInt.of(value), maxWaiting, trustedPlugins, progress);
  }

  public LoadOptions withMaxWaiting(int value) {
    return new LoadOptions(
        devices, dtype, contextTokens, OptionalInt.of(value), trustedPlugins, progress);
  }

  public LoadOptions withTrustedPlugins(Path value) {
    return new LoadOptions(devices, dtype, contextTokens, maxWaiting, Optional.of(value), progress);
  }

  public LoadOptions withProgress(LoadProgress value) {
    return new LoadOptions(devices, dtype, contextTokens, maxWaiting, trustedPlugins, value);
  }
}

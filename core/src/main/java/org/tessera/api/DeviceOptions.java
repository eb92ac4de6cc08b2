package org.tessera.api;

import java.util.Collections;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SortedMap;
import java.util.TreeMap;
import org.tessera.error.InvalidRequestException;
import org.tessera.plan.Deployment;
import org.tessera.plan.DeviceId;
import org.tessera.plan.DeviceMapChoice;
import org.tessera.plan.Strategy;

/**
 * Where a model runs. What is absent is decided by the planner.
 *
 * @param device {@code auto} for all devices there are, a backend's name such as {@code cpu} for
 *     all of its devices, or one or several ids such as {@code cuda:0,1}
 * @param deviceMap a strategy's name, or a device for every module
 * @param maxMemory bytes of the devices that may be used
 * @param tensorParallel ranks over which every layer of the decoder is cut; 1 for none
 * @param replicas copies of the model, over which requests are divided
 * @param deployment where everything runs, for tests and experts: nothing else is asked then
 */
public record DeviceOptions(
    String device,
    Optional<DeviceMapChoice> deviceMap,
    Optional<SortedMap<DeviceId, Long>> maxMemory,
    OptionalInt tensorParallel,
    OptionalInt replicas,
    Optional<Deployment> deployment) {
  /** Whatever is there, as the planner likes it. */
  public static final DeviceOptions AUTO =
      new DeviceOptions(
          "auto",
          Optional.empty(),
          Optional.empty(),
          OptionalInt.empty(),
          OptionalInt.empty(),
          Optional.empty());

  private static final DeviceMapChoice PLANNED = new DeviceMapChoice.Named(Strategy.AUTO);

  public DeviceOptions {
    maxMemory = maxMemory.map(bytes -> Collections.unmodifiableSortedMap(new TreeMap<>(bytes)));
    requirePositive("tensor_parallel", tensorParallel);
    requirePositive("replicas", replicas);
    boolean mapped = deviceMap.isPresent() && !deviceMap.get().equals(PLANNED);
    if (mapped && (tensorParallel.isPresent() || replicas.isPresent())) {
      throw new InvalidRequestException(
          "a device map places whole layers once: leave tensor_parallel and replicas out, or it");
    }
  }

  private static void requirePositive(String name, OptionalInt value) {
    if (value.isPresent() && value.getAsInt() < 1) {
      throw new InvalidRequestException(
          "%s must be at least 1, not %d".formatted(name, value.getAsInt()));
    }
  }

  DeviceOptions withDevice(String value) {
    return new DeviceOptions(value, deviceMap, maxMemory, tensorParallel, replicas, deployment);
  }

  DeviceOptions withDeviceMap(DeviceMapChoice value) {
    return new DeviceOptions(
        device, Optional.of(value), maxMemory, tensorParallel, replicas, deployment);
  }

  DeviceOptions withMaxMemory(SortedMap<DeviceId, Long> value) {
    return new DeviceOptions(
        device, deviceMap, Optional.of(value), tensorParallel, replicas, deployment);
  }

  DeviceOptions withTensorParallel(int value) {
    return new DeviceOptions(
        device, deviceMap, maxMemory, OptionalInt.of(value), replicas, deployment);
  }

  DeviceOptions withReplicas(int value) {
    return new DeviceOptions(
        device, deviceMap, maxMemory, tensorParallel, OptionalInt.of(value), deployment);
  }

  DeviceOptions withDeployment(Deployment value) {
    return new DeviceOptions(
        device, deviceMap, maxMemory, tensorParallel, replicas, Optional.of(value));
  }
}

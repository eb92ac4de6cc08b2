package org.tessera.api;

import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;
import org.tessera.error.InvalidRequestException;
import org.tessera.tensor.DType;
import org.tessera.weights.LoadProgress;

/**
 * How a checkpoint is loaded.
 *
 * @param device {@code auto}, {@code cpu}, {@code cuda} or a device's id
 * @param dtype element type of the weight matrices; absent for the checkpoint's own
 * @param contextTokens tokens of all running conversations together that the key/value cache holds;
 *     absent for as many as the model allows and memory affords
 * @param tensorParallel ranks over which every layer of the decoder is cut; 1 for none
 * @param maxWaiting requests that wait for their turn at most; absent for any number
 * @param trustedPlugins a directory of jars whose architectures may be loaded; their code runs
 * @param progress told while weights are fetched
 */
public record LoadOptions(
    String device,
    Optional<DType> dtype,
    OptionalInt contextTokens,
    int tensorParallel,
    OptionalInt maxWaiting,
    Optional<Path> trustedPlugins,
    LoadProgress progress) {
  public LoadOptions {
    if (contextTokens.isPresent() && contextTokens.getAsInt() < 1) {
      throw new InvalidRequestException(
          "context_tokens must be at least 1, not " + contextTokens.getAsInt());
    }
    if (tensorParallel < 1) {
      throw new InvalidRequestException(
          "tensor_parallel must be at least 1, not " + tensorParallel);
    }
  }

  public static LoadOptions defaults() {
    return new LoadOptions(
        "auto",
        Optional.empty(),
        OptionalInt.empty(),
        1,
        OptionalInt.empty(),
        Optional.empty(),
        LoadProgress.NONE);
  }

  public LoadOptions withDevice(String value) {
    return new LoadOptions(
        value, dtype, contextTokens, tensorParallel, maxWaiting, trustedPlugins, progress);
  }

  public LoadOptions withDtype(DType value) {
    return new LoadOptions(
        device,
        Optional.of(value),
        contextTokens,
        tensorParallel,
        maxWaiting,
        trustedPlugins,
        progress);
  }

  public LoadOptions withContextTokens(int value) {
    return new LoadOptions(
        device, dtype, OptionalInt.of(value), tensorParallel, maxWaiting, trustedPlugins, progress);
  }

  public LoadOptions withTensorParallel(int value) {
    return new LoadOptions(
        device, dtype, contextTokens, value, maxWaiting, trustedPlugins, progress);
  }

  public LoadOptions withMaxWaiting(int value) {
    return new LoadOptions(
        device,
        dtype,
        contextTokens,
        tensorParallel,
        OptionalInt.of(value),
        trustedPlugins,
        progress);
  }

  public LoadOptions withTrustedPlugins(Path value) {
    return new LoadOptions(
        device, dtype, contextTokens, tensorParallel, maxWaiting, Optional.of(value), progress);
  }

  public LoadOptions withProgress(LoadProgress value) {
    return new LoadOptions(
        device, dtype, contextTokens, tensorParallel, maxWaiting, trustedPlugins, value);
  }
}

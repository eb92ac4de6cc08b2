package org.tessera.cli;

import java.util.Locale;
import java.util.Optional;
import org.tessera.tensor.DType;

/** Element types as {@code --dtype} names them. */
enum DTypeName {
  AUTO(Optional.empty()),
  BF16(Optional.of(DType.BF16)),
  FP16(Optional.of(DType.F16)),
  FP32(Optional.of(DType.F32));

  private final Optional<DType> dtype;

  DTypeName(Optional<DType> dtype) {
    this.dtype = dtype;
  }

  /** As the command line writes it: picocli reads and shows this. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Empty for the device's own choice. */
  Optional<DType> dtype() {
    return dtype;
  }
}

package org.tessera.plan;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.ToLongFunction;
import org.tessera.plan.ModuleTree.TensorSpec;
import org.tessera.tensor.DType;

/** Bytes of every module and tensor of a tree. */
final class ModuleSizes {
  private ModuleSizes() {}

  /**
   * Bytes by path, in the order in which accelerate 1.15 meets the paths: parameters first, then
   * buffers, each preceded by the modules around it. A tied tensor counts once, under its first
   * name; what holds no tensor is absent.
   */
  static Map<String, Long> of(ModuleTree tree, ToLongFunction<TensorSpec> tensorBytes) {
    Map<String, Long> sizes = new LinkedHashMap<>();
    tree.parameters()
        .forEach((path, tensor) -> {
          if (tree.owner(path).equals(path)) {
            count(path, tensorBytes.applyAsLong(tensor), sizes);
          }
        });
    tree.buffers().forEach((path, tensor) -> count(path, tensorBytes.applyAsLong(tensor), sizes));
    return sizes;
  }

  /** As accelerate counts: the smaller of {@code dtype} and a floating point tensor's own type. */
  static long accelerateBytes(TensorSpec tensor, DType dtype) {
    int own = tensor.dtype().bytes();
    return elements(tensor) * (isFloating(tensor.dtype()) ? Math.min(dtype.bytes(), own) : own);
  }

  /** What a tensor takes once it was converted: only floating point ones are. */
  static long loadedBytes(TensorSpec tensor, DType dtype) {
    return elements(tensor) * (isFloating(tensor.dtype()) ? dtype : tensor.dtype()).bytes();
  }

  private static long elements(TensorSpec tensor) {
    return tensor.shape().elements();
  }

  private static boolean isFloating(DType dtype) {
    return switch (dtype) {
      case F32, BF16, F16 -> true;
      case I32 -> false;
    };
  }

  private static void count(String path, long bytes, Map<String, Long> sizes) {
    sizes.merge("", bytes, Math::addExact);
    for (int dot = path.indexOf('.'); dot >= 0; dot = path.indexOf('.', dot + 1)) {
      sizes.merge(path.substring(0, dot), bytes, Math::addExact);
    }
    sizes.merge(path, bytes, Math::addExact);
  }
}

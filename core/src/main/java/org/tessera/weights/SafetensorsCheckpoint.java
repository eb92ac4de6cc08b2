package org.tessera.weights;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.tessera.config.CheckpointDirectory;
import org.tessera.config.StrictJson;
import org.tessera.error.CheckpointException;
import org.tessera.tensor.DType;
import org.tessera.tensor.Tensor;

/**
 * The weights of a checkpoint directory: safetensors files, memory-mapped and read-only, so that
 * loading costs address space and the pages that are read, but no heap. Nothing but safetensors is
 * read: other formats of weights are programs.
 *
 * <p>The files must stay as they are while this is open: where one is cut off underneath, the JVM
 * reports the lost page as an {@link InternalError}.
 */
public final class SafetensorsCheckpoint implements WeightSource {
  private static final String SINGLE_FILE = "model.safetensors";
  private static final int MAX_INDEX_BYTES = 16 << 20;

  private final String description;
  private final Arena arena;
  private final Map<String, SafetensorsFile> fileOf;

  private SafetensorsCheckpoint(
      String description, Arena arena, Map<String, SafetensorsFile> fileOf) {
    this.description = description;
    this.arena = arena;
    this.fileOf = Collections.unmodifiableMap(fileOf);
  }

  /**
   * Maps and checks the files that model.safetensors.index.json names, or model.safetensors where
   * there is no index.
   *
   * @throws CheckpointException where a file is missing, breaks a rule of the format, or holds
   *     other tensors than the index says
   */
  @SuppressWarnings("MustBeClosedChecker") // The arena lives as long as what is returned.
  public static SafetensorsCheckpoint open(Path directory) {
    if (ByteOrder.nativeOrder() != ByteOrder.LITTLE_ENDIAN) {
      throw new CheckpointException(
          "safetensors files are little-endian and are not converted for this big-endian processor");
    }
    CheckpointDirectory files = CheckpointDirectory.open(directory);
    Optional<byte[]> index = files.readIfPresent(SafetensorsIndex.FILE, MAX_INDEX_BYTES);
    Arena arena = Arena.ofShared();
    boolean opened = false;
    try {
      SafetensorsCheckpoint checkpoint =
          index.isPresent()
              ? sharded(files, SafetensorsIndex.shards(index.get()), arena)
              : single(files, arena);
      opened = true;
      return checkpoint;
    } finally {
      if (!opened) {
        arena.close();
      }
    }
  }

  private static SafetensorsCheckpoint single(CheckpointDirectory files, Arena arena) {
    if (!files.has(SINGLE_FILE)) {
      throw new CheckpointException(
          "the checkpoint directory has neither %s nor %s; weights in other formats are not read"
              .formatted(SafetensorsIndex.FILE, SINGLE_FILE));
    }
    SafetensorsFile file = SafetensorsFile.open(SINGLE_FILE, files.file(SINGLE_FILE), arena);
    Map<String, SafetensorsFile> fileOf = new HashMap<>();
    file.tensors().keySet().forEach(name -> fileOf.put(name, file));
    return new SafetensorsCheckpoint(SINGLE_FILE, arena, fileOf);
  }

  private static SafetensorsCheckpoint sharded(
      CheckpointDirectory files, Map<String, Set<String>> shards, Arena arena) {
    Map<String, SafetensorsFile> fileOf = new HashMap<>();
    shards.forEach((shard, names) -> {
      Path path = files.file(shard);
      SafetensorsFile file = SafetensorsFile.open(StrictJson.printable(shard), path, arena);
      requireSame(file, names);
      names.forEach(name -> fileOf.put(name, file));
    });
    return new SafetensorsCheckpoint(SafetensorsIndex.FILE, arena, fileOf);
  }

  private static void requireSame(SafetensorsFile file, Set<String> indexed) {
    Set<String> missing = new TreeSet<>(indexed);
    missing.removeAll(file.tensors().keySet());
    if (!missing.isEmpty()) {
      throw new CheckpointException(
          "%s: weight_map has tensor %s in %s, which does not hold it"
              .formatted(
                  SafetensorsIndex.FILE,
                  StrictJson.printable(missing.iterator().next()),
                  file.name()));
    }
    Set<String> surplus = new TreeSet<>(file.tensors().keySet());
    surplus.removeAll(indexed);
    if (!surplus.isEmpty()) {
      throw new CheckpointException(
          "%s holds tensor %s, which weight_map of %s does not have in this file"
              .formatted(
                  file.name(),
                  StrictJson.printable(surplus.iterator().next()),
                  SafetensorsIndex.FILE));
    }
  }

  @Override
  public String description() {
    return description;
  }

  @Override
  public Set<String> names() {
    return fileOf.keySet();
  }

  @Override
  public WeightInfo info(String name) {
    SafetensorsFile file = file(name);
    StoredTensor tensor = stored(file, name);
    return new WeightInfo(file.name(), tensor.computeType(file.name(), name), tensor.shape());
  }

  @Override
  public Tensor get(String name) {
    SafetensorsFile file = file(name);
    StoredTensor tensor = stored(file, name);
    DType dtype = tensor.computeType(file.name(), name);
    MemorySegment memory = file.data().asSlice(tensor.begin(), tensor.byteSize());
    List<Integer> dimensions = tensor.shape().dimensions();
    int rows = dimensions.size() < 2 ? 1 : dimensions.getFirst();
    return Tensor.of(dtype, rows, columns(file, name, tensor), memory);
  }

  private static int columns(SafetensorsFile file, String name, StoredTensor tensor) {
    List<Integer> dimensions = tensor.shape().dimensions();
    long columns = 1;
    for (int dimension :
        dimensions.size() < 2 ? dimensions : dimensions.subList(1, dimensions.size())) {
      // Cannot overflow: both factors are below 2^31, as each product is checked.
      columns *= dimension;
      if (columns > Integer.MAX_VALUE) {
        throw new CheckpointException(
            "%s: tensor %s has shape %s, expected at most %d elements in a row"
                .formatted(
                    file.name(), StrictJson.printable(name), tensor.shape(), Integer.MAX_VALUE));
      }
    }
    return (int) columns;
  }

  private SafetensorsFile file(String name) {
    SafetensorsFile file = fileOf.get(name);
    if (file == null) {
      throw new CheckpointException(
          "%s: tensor %s is missing".formatted(description, StrictJson.printable(name)));
    }
    return file;
  }

  private static StoredTensor stored(SafetensorsFile file, String name) {
    return Objects.requireNonNull(file.tensors().get(name));
  }

  @Override
  public long totalBytes() {
    return fileOf.entrySet().stream()
        .mapToLong(entry -> stored(entry.getValue(), entry.getKey()).byteSize())
        .sum();
  }

  @Override
  public Tensor allocate(DType dtype, int rows, int columns) {
    long bytes = (long) rows * columns * dtype.bytes();
    return Tensor.of(dtype, rows, columns, arena.allocate(bytes, Float.BYTES));
  }

  @Override
  public void close() {
    arena.close();
  }
}

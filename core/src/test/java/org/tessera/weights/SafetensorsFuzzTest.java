package org.tessera.weights;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.config.ByteMutations;
import org.tessera.error.CheckpointException;
import org.tessera.tensor.Shape;
import org.tessera.weights.WeightSource.WeightInfo;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Whatever is done to a file, opening it gives tensors that lie inside of it, those that were not
 * renamed or reshaped with the bytes that they had, or a {@link CheckpointException} with one short
 * line; soon, and without filling the heap.
 */
class SafetensorsFuzzTest {
  private static final int CASES = 1500;
  private static final long MAX_MILLISECONDS = 5000;
  private static final long MAX_HEAP_BYTES = 16 << 20;
  private static final JsonMapper JSON = new JsonMapper();
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private static final List<String> NUMBERS =
      List.of(
          "0",
          "1",
          "-1",
          "7",
          "8",
          "24",
          "64",
          "2147483647",
          "2147483648",
          "4294967296",
          "9223372036854775807",
          "-9223372036854775808",
          "18446744073709551616",
          "1e3",
          "0.5",
          "null",
          "\"8\"",
          "[]",
          "[0]",
          "{}");

  @TempDir Path directory;
  private final RandomGenerator random =
      RandomGeneratorFactory.of("L64X128MixRandom").create(20_263);
  private final Map<String, WeightInfo> infos = new HashMap<>();
  private final Map<String, byte[]> contents = new HashMap<>();
  private int opened;
  private int refused;

  private static SafetensorsWriter writer() {
    return new SafetensorsWriter()
        .metadata("format", "pt")
        .tensor("llm.model.norm.weight", "BF16", Shape.of(12))
        .tensor("llm.lm_head.weight", "F32", Shape.of(2, 3))
        .tensor("vpm.embeddings.position_ids", "I64", Shape.of(1, 2))
        .tensor("resampler.query", "F16", Shape.of(4, 2));
  }

  @BeforeEach
  void readTheOriginal() throws IOException {
    writer().write(file());
    try (SafetensorsCheckpoint checkpoint = SafetensorsCheckpoint.open(directory)) {
      for (String name : checkpoint.names()) {
        if (!name.endsWith("ids")) {
          infos.put(name, checkpoint.info(name));
          contents.put(name, checkpoint.get(name).memory().toArray(JAVA_BYTE));
        }
      }
    }
  }

  @Test
  void changedBytesOfTheHeader() throws IOException {
    byte[] original = writer().bytes();
    int length =
        Math.toIntExact(ByteBuffer.wrap(original).order(ByteOrder.LITTLE_ENDIAN).getLong());
    byte[] header = Arrays.copyOfRange(original, 8, 8 + length);
    byte[] data = Arrays.copyOfRange(original, 8 + length, original.length);
    for (int i = 0; i < CASES; i++) {
      byte[] changed = ByteMutations.mutate(header, random);
      // As often as not the length is put right, so that the damage is met by the parser.
      long announced = random.nextBoolean() ? changed.length : length;
      tryFile(
          ByteBuffer.allocate(8 + changed.length + data.length)
              .order(ByteOrder.LITTLE_ENDIAN)
              .putLong(announced)
              .put(changed)
              .put(data)
              .array());
    }
    assertBothHappened();
  }

  @Test
  void changedBytesOfTheLength() throws IOException {
    byte[] original = writer().bytes();
    for (int i = 0; i < CASES; i++) {
      byte[] changed = original.clone();
      changed[random.nextInt(Long.BYTES)] ^= (byte) (1 << random.nextInt(8));
      tryFile(changed);
    }
    assertThat(refused).isEqualTo(CASES);
  }

  @Test
  void filesThatAreCutOffOrGoOn() throws IOException {
    byte[] original = writer().bytes();
    for (int length = 0; length < original.length + 64; length++) {
      if (length != original.length) {
        tryFile(Arrays.copyOf(original, length));
      }
    }
    assertThat(opened).isZero();
  }

  @Test
  void changedNumbers() throws IOException {
    byte[] original = writer().bytes();
    int length =
        Math.toIntExact(ByteBuffer.wrap(original).order(ByteOrder.LITTLE_ENDIAN).getLong());
    byte[] data = Arrays.copyOfRange(original, 8 + length, original.length);
    String header = new String(original, 8, length, StandardCharsets.UTF_8);
    for (int i = 0; i < CASES; i++) {
      ObjectNode json = (ObjectNode) JSON.readTree(header);
      for (int edits = random.nextInt(1, 4); edits > 0; edits--) {
        changeNumber(json);
      }
      tryFile(SafetensorsWriter.file(json.toString(), data));
    }
    assertBothHappened();
  }

  private void changeNumber(ObjectNode json) {
    List<String> names = List.copyOf(json.propertyNames());
    if (!(json.get(names.get(random.nextInt(1, names.size()))) instanceof ObjectNode tensor)) {
      return;
    }
    JsonNode value = JSON.readTree(NUMBERS.get(random.nextInt(NUMBERS.size())));
    String key = random.nextBoolean() ? "shape" : "data_offsets";
    if (tensor.get(key) instanceof ArrayNode array && !array.isEmpty() && random.nextInt(8) > 0) {
      array.set(random.nextInt(array.size()), value);
    } else {
      tensor.set(random.nextInt(8) == 0 ? "dtype" : key, value);
    }
  }

  @Test
  void changedIndexes() throws IOException {
    Files.delete(file());
    writer().write(directory.resolve("1.safetensors"));
    new SafetensorsWriter()
        .tensor("b", "BF16", Shape.of(4))
        .write(directory.resolve("2.safetensors"));
    String index =
        SafetensorsWriter.index(
            "llm.model.norm.weight", "1.safetensors",
            "llm.lm_head.weight", "1.safetensors",
            "vpm.embeddings.position_ids", "1.safetensors",
            "resampler.query", "1.safetensors",
            "b", "2.safetensors");
    for (int i = 0; i < CASES; i++) {
      Files.write(
          directory.resolve("model.safetensors.index.json"),
          ByteMutations.mutate(index.getBytes(StandardCharsets.UTF_8), random));
      tryOpen();
    }
    assertBothHappened();
  }

  private Path file() {
    return directory.resolve("model.safetensors");
  }

  private void tryFile(byte[] content) throws IOException {
    Files.write(file(), content);
    tryOpen();
  }

  private void tryOpen() {
    long start = System.nanoTime();
    long allocated = THREADS.getCurrentThreadAllocatedBytes();
    try (SafetensorsCheckpoint checkpoint = SafetensorsCheckpoint.open(directory)) {
      opened++;
      checkpoint.names().forEach(name -> check(checkpoint, name));
    } catch (CheckpointException e) {
      refused++;
      checkMessage(e);
    }
    assertThat(THREADS.getCurrentThreadAllocatedBytes() - allocated).isLessThan(MAX_HEAP_BYTES);
    assertThat((System.nanoTime() - start) / 1_000_000).isLessThan(MAX_MILLISECONDS);
  }

  private void check(SafetensorsCheckpoint checkpoint, String name) {
    byte[] content;
    WeightInfo info;
    try {
      info = checkpoint.info(name);
      content = checkpoint.get(name).memory().toArray(JAVA_BYTE);
    } catch (CheckpointException e) {
      checkMessage(e);
      return;
    }
    assertThat(content.length).isEqualTo(info.byteSize());
    WeightInfo original = infos.get(name);
    if (original != null
        && original.shape().equals(info.shape())
        && original.dtype() == info.dtype()
        && isWhereItWas(checkpoint)) {
      assertThat(content).isEqualTo(contents.get(name));
    }
  }

  /** Whether all tensors have the sizes that they had: then none moved. */
  private boolean isWhereItWas(SafetensorsCheckpoint checkpoint) {
    return infos.keySet().stream()
        .allMatch(name ->
            checkpoint.has(name) && checkpoint.info(name).shape().equals(infos.get(name).shape()));
  }

  private static void checkMessage(CheckpointException e) {
    assertThat(e.getMessage()).containsAnyOf("safetensors", "checkpoint").hasSizeLessThan(600);
    assertThat(e.getMessage().chars()).noneMatch(Character::isISOControl);
  }

  private void assertBothHappened() {
    assertThat(refused).isGreaterThan(CASES / 10);
    assertThat(opened).isPositive();
  }
}

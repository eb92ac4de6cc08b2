package org.tessera.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tessera.error.CheckpointException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Whatever is done to a configuration file, reading it gives records or a {@link
 * CheckpointException} with one short line, and soon.
 */
class ConfigFuzzTest {
  private static final Set<String> KNOWN = Set.of("MiniCPMV");
  private static final int CASES_PER_FILE = 500;
  private static final List<String> VALUES =
      List.of(
          "null",
          "true",
          "false",
          "0",
          "-1",
          "1",
          "2147483647",
          "2147483648",
          "-9223372036854775808",
          "123456789012345678901234567890",
          "0.5",
          "-0.0",
          "1e308",
          "1e999",
          "1e-999",
          "\"\"",
          "\"\\u0000\"",
          "\"64\"",
          "[]",
          "[[[[]]]]",
          "{}",
          "{\"\": null}");

  @TempDir Path directory;

  @Test
  void changedBytes() throws IOException {
    for (String file : ReferenceCheckpoint.CONFIG_FILES) {
      RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(20_261);
      byte[] original = Files.readAllBytes(ReferenceCheckpoint.project().resolve(file));
      ReferenceCheckpoint.copyConfig(directory);
      int refused = 0;
      for (int i = 0; i < CASES_PER_FILE; i++) {
        refused += readsOrRefuses(file, ByteMutations.mutate(original, random));
      }
      // Most changes break the syntax; all of them being harmless would mean nothing was changed.
      assertThat(refused).isGreaterThan(CASES_PER_FILE / 10);
    }
  }

  @Test
  void changedValues() throws IOException {
    for (String file : ReferenceCheckpoint.CONFIG_FILES) {
      RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(20_262);
      byte[] original = Files.readAllBytes(ReferenceCheckpoint.project().resolve(file));
      ReferenceCheckpoint.copyConfig(directory);
      int refused = 0;
      for (int i = 0; i < CASES_PER_FILE; i++) {
        ObjectNode json = (ObjectNode) ReferenceCheckpoint.JSON.readTree(original);
        for (int edits = random.nextInt(1, 4); edits > 0; edits--) {
          edit(json, random);
        }
        String text = ReferenceCheckpoint.JSON.writeValueAsString(json);
        refused += readsOrRefuses(file, text.getBytes(StandardCharsets.UTF_8));
      }
      assertThat(refused).isGreaterThan(CASES_PER_FILE / 20);
    }
  }

  private int readsOrRefuses(String file, byte[] content) throws IOException {
    Files.write(directory.resolve(file), content);
    long start = System.nanoTime();
    int refused = 0;
    try {
      CheckpointConfig config = CheckpointConfig.read(directory, KNOWN);
      assertThatCode(() -> config.model().visionConfig().patchesPerSide())
          .doesNotThrowAnyException();
      assertThat(config.model().headDim() * config.model().numAttentionHeads()).isPositive();
    } catch (CheckpointException e) {
      refused = 1;
      assertThat(e.getMessage()).contains(".json").hasSizeLessThan(500);
      assertThat(e.getMessage().chars()).noneMatch(Character::isISOControl);
    }
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(5));
    return refused;
  }

  private static void edit(ObjectNode json, RandomGenerator random) {
    List<JsonNode> containers = new ArrayList<>();
    collect(json, containers);
    JsonNode target = containers.get(random.nextInt(containers.size()));
    JsonNode value = ReferenceCheckpoint.JSON.readTree(VALUES.get(random.nextInt(VALUES.size())));
    if (target instanceof ObjectNode object) {
      List<String> keys = List.copyOf(object.propertyNames());
      if (keys.isEmpty() || random.nextInt(10) == 0) {
        object.set("key" + random.nextInt(3), value);
      } else if (random.nextInt(3) == 0) {
        object.remove(keys.get(random.nextInt(keys.size())));
      } else {
        object.set(keys.get(random.nextInt(keys.size())), value);
      }
    } else if (target instanceof ArrayNode array) {
      if (array.isEmpty() || random.nextBoolean()) {
        array.add(value);
      } else {
        array.set(random.nextInt(array.size()), value);
      }
    }
  }

  private static void collect(JsonNode node, List<JsonNode> containers) {
    if (node.isContainer()) {
      containers.add(node);
      node.forEach(child -> collect(child, containers));
    }
  }
}

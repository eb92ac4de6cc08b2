package org.tessera.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** What accelerate 1.15 itself answered. */
class AccelerateDeviceMapTest {

  @TestFactory
  Stream<DynamicTest> mapsOfTheFullSizeModelAreThoseOfAccelerate() {
    Optional<Path> file = DeviceMapVectors.file();
    assumeTrue(file.isPresent(), "the conformance directory has no device_map.json");
    return cases("full size", DeviceMapVectors.read(file.orElseThrow()));
  }

  /**
   * Random trees with tied parameters, buffers of several types and own parameters beside children,
   * put through the functions of accelerate 1.15.
   */
  @TestFactory
  Stream<DynamicTest> mapsOfRandomTreesAreThoseOfAccelerate() throws IOException {
    try (InputStream in = AccelerateDeviceMapTest.class.getResourceAsStream("random_trees.json")) {
      List<DeviceMapVectors> all = DeviceMapVectors.readAll(in);
      return IntStream.range(0, all.size())
          .boxed()
          .flatMap(index -> cases("tree " + index, all.get(index)));
    }
  }

  private static Stream<DynamicTest> cases(String name, DeviceMapVectors vectors) {
    return IntStream.range(0, vectors.cases().size())
        .mapToObj(index ->
            DynamicTest.dynamicTest(
                "%s, case %d".formatted(name, index),
                () -> check(vectors, vectors.cases().get(index))));
  }

  private static void check(DeviceMapVectors vectors, DeviceMapVectors.Case expected) {
    AccelerateDeviceMap accelerate =
        new AccelerateDeviceMap(vectors.tree(), vectors.dtype(), expected.noSplitClasses());

    SortedMap<DeviceId, Long> budgets =
        accelerate.budgets(expected.strategy(), expected.maxMemory());
    assertThat(budgets).isEqualTo(expected.balancedMemory());

    Map<String, String> map = new LinkedHashMap<>();
    accelerate.infer(budgets).forEach((path, device) -> map.put(path, device.label()));
    assertThat(map.entrySet()).containsExactlyElementsOf(expected.deviceMap().entrySet());
  }
}

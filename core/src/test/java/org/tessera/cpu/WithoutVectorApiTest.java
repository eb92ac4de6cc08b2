package org.tessera.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.tessera.device.Backend.Availability.Available;
import org.tessera.device.Device;
import org.tessera.device.Device.DeviceMemory;
import org.tessera.ops.Activation;
import org.tessera.tensor.DType;
import org.tessera.tensor.Matrix;
import org.tessera.tensor.Tensor;

/** A JVM that was started without the incubator module. */
class WithoutVectorApiTest {
  @Test
  void theBackendRunsAndSaysWhatIsMissing() throws IOException, InterruptedException {
    Process java =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx128m",
                "-cp",
                System.getProperty("java.class.path"),
                Program.class.getName())
            .redirectErrorStream(true)
            .start();
    String output = new String(java.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(java.waitFor(30, TimeUnit.SECONDS)).isTrue();
    assertThat(output.lines())
        .containsExactly(
            "the Vector API is off, which makes the CPU several times slower: start Java with"
                + " --add-modules jdk.incubator.vector",
            "11.0");
  }

  /** What that JVM runs. */
  static final class Program {
    private Program() {}

    public static void main(String[] arguments) {
      CpuBackend backend = new CpuBackend();
      Available available = (Available) backend.probe();
      available.notes().forEach(System.out::println);
      try (Device device = backend.open(available.devices().getFirst());
          DeviceMemory region = device.allocateRegion()) {
        Tensor x = region.allocate(DType.F32, 1, 2);
        device.upload(new float[] {1, 2}, x);
        Tensor w = region.allocate(DType.BF16, 1, 2);
        device.upload(new float[] {3, 4}, w);
        Tensor out = region.allocate(DType.F32, 1, 1);
        device.ops().linear(x, Matrix.stacked(List.of(w)), null, Activation.NONE, out);
        System.out.println(device.download(out)[0]);
      }
    }
  }
}

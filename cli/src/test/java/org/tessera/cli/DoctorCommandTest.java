package org.tessera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tessera.device.Backend.Availability;
import org.tessera.device.Backend.Component;
import org.tessera.device.DeviceInfo;

/** What is said of a backend, whatever this machine has. */
class DoctorCommandTest {
  private static final Component DRIVER = new Component("driver", "/lib/libx.so.1", "CUDA 13.0");

  private static List<String> report(Availability availability, List<Component> components) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
    new DoctorCommand(new Output(out, out, false, false), new Installation(Optional.empty()))
        .backend("gpu", availability, components);
    return bytes.toString(StandardCharsets.UTF_8).lines().toList();
  }

  @Test
  void devicesComeWithTheirLibraries() {
    DeviceInfo device = new DeviceInfo("gpu:0", "Card", 150_000_000_000L, 140_000_000_000L);
    assertThat(
            report(
                new Availability.Available(List.of(device), List.of("gpu:1 is left out")),
                List.of(DRIVER)))
        .containsExactly(
            "ok  gpu:0          Card, 140.0 GB free of 150.0 GB",
            "                   gpu:1 is left out",
            "                   driver CUDA 13.0: /lib/libx.so.1");
  }

  @Test
  void whatIsMissingComesWithItsRemedyAndWhatWasFound() {
    assertThat(
            report(
                new Availability.Unavailable("libx.so is missing", "install it by: apt"),
                List.of(DRIVER)))
        .containsExactly(
            "off gpu            libx.so is missing",
            "                   install it by: apt",
            "                   found: driver CUDA 13.0: /lib/libx.so.1");
  }
}

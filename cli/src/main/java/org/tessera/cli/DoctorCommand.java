package org.tessera.cli;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import org.tessera.device.Backend.Availability;
import org.tessera.device.Backend.Component;
import org.tessera.device.DeviceInfo;
import org.tessera.device.Devices;
import picocli.CommandLine.Command;

/** {@code tessera doctor}: what was found on this machine, and what is off and why. */
@Command(
    name = "doctor",
    mixinStandardHelpOptions = true,
    description = "Says what was found on this machine, and what is off and why.")
final class DoctorCommand implements Callable<Integer> {
  private static final String VECTOR_MODULE = "jdk.incubator.vector";

  private final Output output;
  private final Installation installation;

  DoctorCommand(Output output, Installation installation) {
    this.output = output;
    this.installation = installation;
  }

  @Override
  public Integer call() {
    Runtime runtime = Runtime.getRuntime();
    line(
        "java",
        "%s (%s)".formatted(System.getProperty("java.version"), System.getProperty("java.vendor")));
    line(
        "system",
        "%s %s, %d processors, Java heap up to %s"
            .formatted(
                System.getProperty("os.name"),
                System.getProperty("os.arch"),
                runtime.availableProcessors(),
                gigabytes(runtime.maxMemory())));
    if (ModuleLayer.boot().findModule(VECTOR_MODULE).isPresent()) {
      line("vector module", "there");
    } else {
      off("vector module", "off, so that the CPU is several times slower");
      detail("start Java with --add-modules " + VECTOR_MODULE + ", as ./tessera does");
    }
    Devices devices = Devices.probe();
    Map<String, List<Component>> components = devices.components();
    devices
        .availability()
        .forEach((name, found) -> backend(name, found, components.getOrDefault(name, List.of())));
    ffmpeg();
    installation
        .demoModel()
        .ifPresentOrElse(
            model -> line("demo model", "there"),
            () -> off("demo model", "not found, so that chat and demo need --model"));
    line("terminal", Optional.ofNullable(System.getenv("TERM")).orElse("none"));
    return 0;
  }

  /** A backend's devices, or why it has none, and the libraries that it found in any case. */
  void backend(String name, Availability availability, List<Component> components) {
    switch (availability) {
      case Availability.Available available -> {
        for (DeviceInfo device : available.devices()) {
          line(
              device.id(),
              "%s, %s free of %s"
                  .formatted(
                      device.name(),
                      gigabytes(device.freeBytes()),
                      gigabytes(device.totalBytes())));
        }
        available.notes().forEach(this::detail);
      }
      case Availability.Unavailable(String reason, String remedy) -> {
        off(name, reason);
        detail(remedy);
      }
    }
    String found = availability instanceof Availability.Unavailable ? "found: " : "";
    for (Component component : components) {
      detail(
          "%s%s %s: %s".formatted(found, component.name(), component.version(), component.path()));
    }
  }

  private void ffmpeg() {
    findOnPath("ffmpeg")
        .ifPresentOrElse(
            file -> line("ffmpeg", "there, for videos"),
            () -> {
              off("ffmpeg", "not on the PATH: no videos but animated GIFs");
              detail("install it with the system's package manager");
            });
  }

  private static Optional<Path> findOnPath(String program) {
    String path = Optional.ofNullable(System.getenv("PATH")).orElse("");
    return Arrays.stream(path.split(Pattern.quote(File.pathSeparator)))
        .filter(directory -> !directory.isEmpty())
        .map(directory -> Path.of(directory, program))
        .filter(Files::isExecutable)
        .findFirst();
  }

  private static String gigabytes(long bytes) {
    return String.format(Locale.ROOT, "%.1f GB", bytes / 1e9);
  }

  private void line(String what, String state) {
    print("ok ", what, state);
  }

  private void off(String what, String reason) {
    print("off", what, reason);
  }

  private void detail(String line) {
    print("   ", "", line);
  }

  private void print(String mark, String what, String text) {
    output.out().printf("%s %-14s %s%n", mark, what, text);
  }
}

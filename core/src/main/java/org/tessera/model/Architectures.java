package org.tessera.model;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.TreeMap;
import org.tessera.error.CheckpointException;
import org.tessera.error.InvalidRequestException;

/** The architectures that can be loaded here, by the name that a checkpoint gives. */
public final class Architectures {
  private final Map<String, Architecture> byName;

  private Architectures(Iterable<Architecture> architectures) {
    byName = new TreeMap<>();
    for (Architecture architecture : architectures) {
      Architecture other = byName.putIfAbsent(architecture.name(), architecture);
      if (other != null && other.getClass() != architecture.getClass()) {
        throw new InvalidRequestException(
            "two plug-ins provide the architecture " + architecture.name());
      }
    }
  }

  /** Those on the class path. */
  public static Architectures builtIn() {
    return new Architectures(ServiceLoader.load(Architecture.class));
  }

  /**
   * Those on the class path and in the jars of a directory whose code the user trusts. The jars
   * stay open as long as the process runs, as their classes may be loaded at any time.
   *
   * @throws InvalidRequestException where the directory cannot be read or a jar declares a provider
   *     that cannot be used
   */
  public static Architectures withPlugins(Path directory) {
    if (!Files.isDirectory(directory)) {
      throw new InvalidRequestException(
          "the plug-in directory " + directory.getFileName() + " does not exist");
    }
    List<URL> jars = new ArrayList<>();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory, "*.jar")) {
      for (Path jar : files) {
        jars.add(jar.toUri().toURL());
      }
    } catch (IOException e) {
      throw new InvalidRequestException(
          "the plug-in directory " + directory.getFileName() + " cannot be read", e);
    }
    ClassLoader loader =
        new URLClassLoader(jars.toArray(URL[]::new), Architecture.class.getClassLoader());
    try {
      List<Architecture> found = new ArrayList<>();
      ServiceLoader.load(Architecture.class, loader).forEach(found::add);
      return new Architectures(found);
    } catch (ServiceConfigurationError e) {
      throw new InvalidRequestException(
          "a jar in %s names an architecture that cannot be loaded"
              .formatted(directory.getFileName()),
          e);
    }
  }

  public List<String> names() {
    return List.copyOf(byName.keySet());
  }

  /**
   * The first of {@code architectures} that is known.
   *
   * @throws CheckpointException where none is
   */
  public Architecture find(List<String> architectures) {
    return architectures.stream()
        .filter(byName::containsKey)
        .findFirst()
        .map(byName::get)
        .orElseThrow(() ->
            new CheckpointException(
                "config.json: architectures is %s; this build knows %s"
                    .formatted(architectures, byName.keySet())));
  }
}

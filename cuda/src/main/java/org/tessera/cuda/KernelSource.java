package org.tessera.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A CUDA C++ file with the headers that it includes, directly or not.
 *
 * @param headers their text by the name in the {@code #include}
 */
public record KernelSource(String name, String text, Map<String, String> headers) {
  /** Kernels include each other's headers by quoted names; no header of the toolkit is there. */
  private static final Pattern INCLUDE =
      Pattern.compile("^\\s*#\\s*include\\s*\"([^\"]+)\"", Pattern.MULTILINE);

  public KernelSource {
    headers = Map.copyOf(headers);
  }

  /** One of the backend's own: {@code norm.cu}. */
  public static KernelSource ofResource(String name) {
    return ofResource(KernelSource.class, "kernels/", name);
  }

  /**
   * A resource beside {@code owner}, below {@code folder}; its headers lie in the same folder.
   *
   * @throws IllegalArgumentException where a file is missing
   */
  static KernelSource ofResource(Class<?> owner, String folder, String name) {
    String text = read(owner, folder + name);
    Map<String, String> headers = new TreeMap<>();
    Deque<String> texts = new ArrayDeque<>();
    texts.add(text);
    while (!texts.isEmpty()) {
      Matcher includes = INCLUDE.matcher(texts.remove());
      while (includes.find()) {
        String header = includes.group(1);
        if (!headers.containsKey(header)) {
          String headerText = read(owner, folder + header);
          headers.put(header, headerText);
          texts.add(headerText);
        }
      }
    }
    return new KernelSource(name, text, headers);
  }

  private static String read(Class<?> owner, String resource) {
    try (InputStream in = owner.getResourceAsStream(resource)) {
      if (in == null) {
        throw new IllegalArgumentException(
            "there is no resource %s beside %s".formatted(resource, owner.getName()));
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

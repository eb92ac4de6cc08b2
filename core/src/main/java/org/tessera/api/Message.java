package org.tessera.api;

import java.util.ArrayList;
import java.util.List;

/** One turn of a conversation. */
public record Message(Role role, List<Part> content) {
  public Message {
    content = List.copyOf(content);
  }

  public static Message system(String text) {
    return new Message(Role.SYSTEM, List.of(new Part.Text(text)));
  }

  public static Message assistant(String text) {
    return new Message(Role.ASSISTANT, List.of(new Part.Text(text)));
  }

  public static Message user(String text) {
    return new Message(Role.USER, List.of(new Part.Text(text)));
  }

  /** What a function returned that the assistant's last turn called. */
  public static Message tool(String result) {
    return new Message(Role.TOOL, List.of(new Part.Text(result)));
  }

  /** A question about pictures: the pictures first, then the text. */
  public static Message user(String text, Image... images) {
    List<Part> parts = new ArrayList<>();
    for (Image image : images) {
      parts.add(new Part.Picture(image));
    }
    parts.add(new Part.Text(text));
    return new Message(Role.USER, parts);
  }
}

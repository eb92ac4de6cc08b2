package org.tessera.prompt;

import java.util.List;
import org.tessera.api.Message;
import org.tessera.api.Part;
import org.tessera.api.Role;
import org.tessera.error.InvalidRequestException;

/** What a list of messages must be, so that the template makes sense of it. */
final class Conversation {
  /**
   * Characters in all texts together: several times what 32,768 tokens of any language hold, and
   * few enough that tokenizing them costs tens of megabytes, not hundreds.
   */
  static final int MAX_CHARACTERS = 1 << 20;

  private Conversation() {}

  /**
   * Checks the messages.
   *
   * @return how many pictures they hold
   */
  static int check(List<Message> messages, boolean addGenerationPrompt) {
    require(!messages.isEmpty(), "messages is empty, expected at least one message of the user");
    long characters = 0;
    int pictures = 0;
    for (int i = 0; i < messages.size(); i++) {
      Message message = messages.get(i);
      require(
          !message.content().isEmpty(),
          "message %d (%s) has no content, expected a text or a picture"
              .formatted(i, message.role().lowerCase()));
      checkRole(messages, i);
      for (Part part : message.content()) {
        switch (part) {
          case Part.Text text -> characters += text.text().length();
          case Part.Picture picture -> {
            require(
                message.role() != Role.SYSTEM,
                "message %d (system) holds a picture, expected only text".formatted(i));
            pictures++;
          }
        }
      }
    }
    require(
        characters <= MAX_CHARACTERS,
        "the messages have %d characters, at most %d are accepted"
            .formatted(characters, MAX_CHARACTERS));
    Role last = messages.getLast().role();
    require(last != Role.SYSTEM, "there is only a system message, expected one of the user");
    require(
        !addGenerationPrompt || last == Role.USER,
        "the last message is of role %s, expected user".formatted(last.lowerCase()));
    return pictures;
  }

  private static void checkRole(List<Message> messages, int index) {
    Role role = messages.get(index).role();
    if (index > 0) {
      require(
          role != Role.SYSTEM,
          "message %d is of role system, which only the first message may be".formatted(index));
    }
    boolean first = index == 0 || (index == 1 && messages.getFirst().role() == Role.SYSTEM);
    require(
        !first || role != Role.ASSISTANT,
        "message %d is of role assistant, expected the conversation to start with the user"
            .formatted(index));
  }

  private static void require(boolean condition, String message) {
    if (!condition) {
      throw new InvalidRequestException(message);
    }
  }
}

// Goes on with a long job by itself: the server does a part of it with each post. Without scripts there is a button.

const form = document.querySelector("form[data-steps]");
if (form !== null) form.requestSubmit();

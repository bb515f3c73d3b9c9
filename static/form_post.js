// OAuth 2.0 Form Post Response Mode §2: the form is submitted as soon as it is loaded.
document.forms[0].submit();
